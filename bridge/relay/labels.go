package relay

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"lpbridge/bridge"
)

// longestLabel is how many characters a label may have: what can be chosen in
// WhatsApp, which is behind many channels, is refused with more than 20 (Cloud API,
// Interactive reply buttons).
const longestLabel = 20

// tellApart gives replies with the same title labels: by what stands above them, such
// as the name of a product, or by numbers where that is too long or the same.
func tellApart(replies []bridge.QuickReply, headings []string) {
	names := map[string]int{}
	for _, r := range replies {
		names[nameKey(r.Title)]++
	}
	nth := map[string]int{}
	for i := range replies {
		title := strings.TrimSpace(replies[i].Title)
		key := nameKey(title)
		if names[key] < 2 {
			continue
		}
		label := headings[i] + ": " + title
		if headings[i] == "" || utf8.RuneCountInString(label) > longestLabel || names[nameKey(label)] > 0 {
			for label = ""; label == "" || names[nameKey(label)] > 0; {
				nth[key]++
				label = title + " (" + strconv.Itoa(nth[key]) + ")"
			}
		}
		names[nameKey(label)]++
		replies[i].Label = label
	}
}

func nameKey(name string) string { return strings.ToLower(strings.TrimSpace(name)) }
