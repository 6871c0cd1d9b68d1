package config

import (
	"errors"
	"strings"
	"testing"
)

func TestReferenceTable(t *testing.T) {
	var page strings.Builder
	err := WriteMarkdown(&page,
		Section{Title: "Bridge", Text: "How the process runs.", Variables: Reference(&Bridge{}, "LPBRIDGE_")},
		Section{Title: "LivePerson", Variables: Reference(&LivePerson{}, "LP_")},
		Section{Variables: Reference(&kitchen{}, "KITCHEN_")},
	)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "reference.md", page.String())
}

// Whoever adds a setting says what it is for.
func TestEverySettingIsDescribed(t *testing.T) {
	for _, v := range Reference(&Config{}, "") {
		if v.Description == "" || !strings.HasSuffix(v.Description, ".") {
			t.Errorf("%s has the description %q, want a sentence", v.Name, v.Description)
		}
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.ErrUnsupported }

func TestWriteMarkdownReportsTheWriter(t *testing.T) {
	if err := WriteMarkdown(brokenWriter{}, Section{}); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("error is %v", err)
	}
}
