package config

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// AnyChannel in a route stands for all channels.
const AnyChannel = "*"

// Route says where the conversations of a channel, or of one of its inboxes, go in LivePerson. What it leaves empty a less
// special route says.
type Route struct {
	// Channel is a channel's name or [AnyChannel].
	Channel string
	// Inbox is the channel's own id of an inbox, empty for all.
	Inbox string

	SkillID string
	// CampaignID and EngagementID are both set or both empty.
	CampaignID   string
	EngagementID string
	// Language is an IETF tag.
	Language string
	// Context names where consumers come from.
	Context string
	// EntryPoints are what the Monitoring API is told of where consumers are.
	EntryPoints []string
}

// Routes is a list of routes, one for each channel and inbox at most.
type Routes []Route

const routeForm = "such as CHANNEL/3:skill=4711 language=pt-PT"

// UnmarshalText reads routes that are separated by commas: a channel, / and an inbox if not for all, a colon, and what is
// asked for, separated by blanks.
func (r *Routes) UnmarshalText(text []byte) error {
	var routes Routes
	for entry := range strings.SplitSeq(string(text), ",") {
		if entry = strings.TrimSpace(entry); entry == "" {
			continue
		}
		route, err := parseRoute(entry)
		if err != nil {
			return err
		}
		same := func(other Route) bool { return other.Channel == route.Channel && other.Inbox == route.Inbox }
		if slices.ContainsFunc(routes, same) {
			return fmt.Errorf("has two routes for %s", quote(route.name()))
		}
		routes = append(routes, route)
	}
	*r = routes
	return nil
}

func (r Route) name() string {
	if r.Inbox == "" {
		return r.Channel
	}
	return r.Channel + "/" + r.Inbox
}

func parseRoute(entry string) (r Route, err error) {
	where, what, found := strings.Cut(entry, ":")
	if !found {
		return r, fmt.Errorf("%s must be a channel, a colon and what is asked for, %s", quote(entry), routeForm)
	}
	var inbox bool
	where = strings.TrimSpace(where)
	r.Channel, r.Inbox, inbox = strings.Cut(where, "/")
	switch {
	case r.Channel == "" || inbox && r.Inbox == "":
		return r, fmt.Errorf("%s must begin with a channel, or a channel, / and an inbox", quote(entry))
	case r.Channel == AnyChannel && inbox:
		return r, errors.New("an inbox needs the name of its channel, not *")
	}
	settings := strings.Fields(what)
	if len(settings) == 0 {
		return r, fmt.Errorf("the route of %s asks for nothing, want something %s", quote(where), routeForm)
	}
	for _, setting := range settings {
		if err := r.set(setting); err != nil {
			return r, fmt.Errorf("the route of %s: %w", quote(where), err)
		}
	}
	if (r.CampaignID == "") != (r.EngagementID == "") {
		return r, fmt.Errorf("the route of %s: campaign and engagement go together", quote(where))
	}
	return r, nil
}

var (
	// languageTag is near enough to IETF BCP 47 to find slips.
	languageTag = regexp.MustCompile(`^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$`)
	entryPoint  = regexp.MustCompile(`^[a-z][a-z0-9+.-]*://\S+$`)
)

// isContextName is no regular expression: one with these classes takes megabytes
// of every process to compile.
func isContextName(text string) bool {
	n := utf8.RuneCountInString(text)
	return 0 < n && n <= 64 && !strings.ContainsFunc(text, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsNumber(r) && !strings.ContainsRune("_.+-", r)
	})
}

// set takes one name=value.
func (r *Route) set(setting string) error {
	name, value, _ := strings.Cut(setting, "=")
	known := map[string]struct {
		into *string
		fits func(string) bool
		want string
	}{
		"skill":      {&r.SkillID, idText.MatchString, "an id of letters, digits, - and _"},
		"campaign":   {&r.CampaignID, idText.MatchString, "an id of letters, digits, - and _"},
		"engagement": {&r.EngagementID, idText.MatchString, "an id of letters, digits, - and _"},
		"language":   {&r.Language, languageTag.MatchString, "an IETF tag such as pt-PT"},
		"context":    {&r.Context, isContextName, "a name of at most 64 letters, digits, - _ + and ."},
	}
	if name == "entry" {
		if !entryPoint.MatchString(value) {
			return fmt.Errorf("%s must be an entry point such as entry=sec://Sport", quote(setting))
		}
		r.EntryPoints = append(r.EntryPoints, value)
		return nil
	}
	to, ok := known[name]
	switch {
	case !ok:
		names := []string{"skill", "campaign", "engagement", "language", "context", "entry"}
		return fmt.Errorf("%s is not known, there are %s%s", quote(name), strings.Join(names, ", "), didYouMean(name, names))
	case *to.into != "":
		return fmt.Errorf("%s is there twice", name)
	case !to.fits(value):
		return fmt.Errorf("%s must be %s", quote(setting), to.want)
	}
	*to.into = value
	return nil
}

// CheckRoutes reports routes of channels that are not among the known ones. Give its error to [Loader.Add].
func (c LivePerson) CheckRoutes(known ...string) error {
	var errs []error
	for _, r := range c.Routes {
		if r.Channel != AnyChannel && !slices.Contains(known, r.Channel) {
			errs = append(errs, fmt.Errorf("LP_ROUTES: %s is not known, the channels are %s%s",
				quote(r.Channel), strings.Join(known, ", "), didYouMean(r.Channel, known)))
		}
	}
	return errors.Join(errs...)
}
