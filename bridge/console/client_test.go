package console

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"lpbridge/bridge"
)

func startConsole(t *testing.T, box *letterBox) *Client {
	t.Helper()
	c, _, _ := setup(t, box)
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	return &Client{BaseURL: server.URL + "/"}
}

// manyLetters has n letters of which every tenth is invalid.
func manyLetters(n int64) *letterBox {
	box := &letterBox{fail: -1}
	for seq := int64(1); seq <= n; seq++ {
		o := bridge.Retry
		if seq%10 == 0 {
			o = bridge.Invalid
		}
		box.letters = append(box.letters, letter(seq, "chatwoot", bridge.ToLivePerson, o))
	}
	return box
}

func TestClientGoesThroughAllPages(t *testing.T) {
	c := startConsole(t, manyLetters(1201))
	count := func(f Filter) (n int) {
		last := int64(0)
		for l, err := range c.All(t.Context(), f) {
			if err != nil {
				t.Fatal(err)
			}
			if l.Seq <= last {
				t.Fatalf("seq %d comes after %d", l.Seq, last)
			}
			last = l.Seq
			n++
		}
		return n
	}
	if got := count(Filter{}); got != 1201 {
		t.Errorf("listed %d, want 1201", got)
	}
	if got := count(Filter{Outcome: "invalid"}); got != 120 {
		t.Errorf("listed %d invalid ones, want 120", got)
	}
	if got := count(Filter{Channel: "layer", Direction: "to_channel"}); got != 0 {
		t.Errorf("listed %d of another channel, want none", got)
	}
}

func TestPagesEndExactly(t *testing.T) {
	c := startConsole(t, manyLetters(10))
	for _, test := range []struct {
		after int64
		limit int
		next  int64
	}{{0, 10, 0}, {0, 9, 9}, {5, 5, 0}, {5, 4, 9}, {10, 1, 0}, {0, 0, 0}} {
		page, err := c.list(t.Context(), Filter{After: test.after}, test.limit)
		if err != nil {
			t.Fatal(err)
		}
		if page.Next != test.next {
			t.Errorf("after %d, limit %d: next is %d, want %d", test.after, test.limit, page.Next, test.next)
		}
	}
}

func TestScanOfManyIsCutAndGoesOn(t *testing.T) {
	box := manyLetters(scanLimit + 500)
	box.add(letter(scanLimit+501, "layer", bridge.ToChannel, bridge.Invalid))
	c := startConsole(t, box)
	page, err := c.list(t.Context(), Filter{Channel: "layer"}, 1)
	if err != nil || len(page.DeadLetters) != 0 || page.Next == 0 {
		t.Fatalf("first page is %+v, %v; want an empty one with a next", page, err)
	}
	page, err = c.list(t.Context(), Filter{Channel: "layer", After: page.Next}, 1)
	if err != nil || len(page.DeadLetters) != 1 {
		t.Errorf("second page is %+v, %v", page, err)
	}
}

func TestClientReplaysAndDiscardsOne(t *testing.T) {
	box := fourLetters()
	c := startConsole(t, box)
	if err := c.Replay(t.Context(), 5); err != nil {
		t.Error(err)
	}
	if err := c.Discard(t.Context(), 8); err != nil {
		t.Error(err)
	}
	err := c.Discard(t.Context(), 8)
	if p, is := errors.AsType[*bridge.Problem](err); !is || p.Status != http.StatusNotFound || p.Field != "seq" {
		t.Errorf("discarding it again: %v", err)
	}
	if !slices.Equal(box.revived, []int64{5}) || !slices.Equal(box.discarded, []int64{8}) {
		t.Errorf("revived %v, discarded %v", box.revived, box.discarded)
	}
}

func TestReplayOfManyEndsThoughAllDieAgain(t *testing.T) {
	box := manyLetters(2*batchLimit + 50)
	again := int64(len(box.letters))
	box.revive = func(d bridge.DeadLetter) {
		again++
		d.Seq, d.Died = again, time.Now().Add(time.Hour)
		box.add(d)
	}
	c := startConsole(t, box)
	n, err := c.ReplayMatching(t.Context(), Filter{All: true})
	if err != nil || n != 2*batchLimit+50 {
		t.Errorf("replayed %d, %v; want %d", n, err, 2*batchLimit+50)
	}
	if !slices.IsSorted(box.revived) {
		t.Error("replayed out of order")
	}
}

func TestClientDiscardsMatching(t *testing.T) {
	box := manyLetters(1000)
	c := startConsole(t, box)
	n, err := c.DiscardMatching(t.Context(), Filter{Outcome: "invalid"})
	if err != nil || n != 100 || len(box.letters) != 900 {
		t.Errorf("discarded %d, %v, %d are left; want 100 and 900", n, err, len(box.letters))
	}
	if _, err := c.DiscardMatching(t.Context(), Filter{}); err == nil || len(box.letters) != 900 {
		t.Errorf("an empty filter: %v, %d are left", err, len(box.letters))
	}
}

func TestClientTellsWhatItTalksTo(t *testing.T) {
	tests := []struct {
		name   string
		status int
		body   string
		want   string
	}{
		{"a page of something else", 200, "<html>" + secretText, "not a console's"},
		{"an error of something else", 502, `{"error":"` + secretText + `"}`, "not a console's"},
		{"a problem", 503, `{"status":503,"title":"Service Unavailable","detail":"the journal did not answer, see the log"}`, "list: Service Unavailable: the journal did not answer"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(test.status)
				_, _ = io.WriteString(w, test.body)
			}))
			defer server.Close()
			c := Client{BaseURL: server.URL}
			_, err := c.list(t.Context(), Filter{}, 0)
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "41111111") {
				t.Errorf("error is %v", err)
			}
		})
	}
	t.Run("nobody", func(t *testing.T) {
		server := httptest.NewServer(http.NotFoundHandler())
		server.Close()
		c := Client{BaseURL: server.URL}
		for _, err := range c.All(t.Context(), Filter{}) {
			if err == nil || !strings.Contains(err.Error(), "is the bridge running") {
				t.Errorf("error is %v", err)
			}
		}
	})
}
