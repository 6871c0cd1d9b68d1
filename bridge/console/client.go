package console

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"lpbridge/bridge"
)

// answerLimit is the longest answer a client reads, in bytes. A page of letters
// with the longest ids stays below it.
const answerLimit = 4 << 20

// Client calls the console of a running bridge.
//
// Errors of its methods hold a *[bridge.Problem] when the console refused or
// failed; its Status tells a missing dead letter (404) from a failing journal
// (503).
type Client struct {
	// BaseURL is the admin listener's, such as "http://127.0.0.1:8081".
	BaseURL string
	// Token is the admin token; empty where the console asks for none.
	Token string
	// HTTP may be nil for [http.DefaultClient]; give calls a ctx that ends.
	HTTP *http.Client
}

// list returns one page of the dead letters that match f, oldest first, with
// at most limit letters; 0 leaves the limit to the console. All and DiedBefore
// of the filter are not used.
func (c *Client) list(ctx context.Context, f Filter, limit int) (Page, error) {
	query := f.query()
	if limit != 0 {
		query.Set("limit", strconv.Itoa(limit))
	}
	var page Page
	err := c.call(ctx, "list", http.MethodGet, "/deadletters?"+query.Encode(), nil, &page)
	return page, err
}

// All goes through all dead letters that match f, page by page, and ends after
// the first error.
func (c *Client) All(ctx context.Context, f Filter) iter.Seq2[Letter, error] {
	return func(yield func(Letter, error) bool) {
		for {
			page, err := c.list(ctx, f, maxLimit)
			if err != nil {
				yield(Letter{}, err)
				return
			}
			for _, l := range page.DeadLetters {
				if !yield(l, nil) {
					return
				}
			}
			if page.Next == 0 {
				return
			}
			f.After = page.Next
		}
	}
}

// Show returns the dead letter seq, and what it says if that is wanted, which the
// bridge logs.
func (c *Client) Show(ctx context.Context, seq int64, content bool) (Letter, error) {
	var l Letter
	err := c.call(ctx, "show", http.MethodGet, fmt.Sprintf("%s?content=%t", letterPath(seq), content), nil, &l)
	return l, err
}

// Export writes all dead letters that match f to w, a [Letter] a line, with what
// they say if that is wanted, which the bridge logs.
func (c *Client) Export(ctx context.Context, f Filter, content bool, w io.Writer) error {
	query := f.query()
	query.Set("content", strconv.FormatBool(content))
	resp, err := c.request(ctx, "export", http.MethodGet, "/deadletters/export?"+query.Encode(), nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(w, resp.Body); err != nil {
		return fmt.Errorf("export: it is not whole: %w", err)
	}
	return nil
}

// query is the filter as a request asks with it; All and DiedBefore are not used.
func (f *Filter) query() url.Values {
	query := url.Values{}
	for name, value := range map[string]string{"channel": f.Channel, "direction": f.Direction, "outcome": f.Outcome} {
		if value != "" {
			query.Set(name, value)
		}
	}
	if f.After != 0 {
		query.Set("after", strconv.FormatInt(f.After, 10))
	}
	return query
}

// Replay makes the dead letter seq be delivered again.
func (c *Client) Replay(ctx context.Context, seq int64) error {
	return c.call(ctx, "replay", http.MethodPost, letterPath(seq)+"/replay", nil, new(doneAnswer))
}

// Discard removes the dead letter seq for good.
func (c *Client) Discard(ctx context.Context, seq int64) error {
	return c.call(ctx, "discard", http.MethodDelete, letterPath(seq), nil, new(doneAnswer))
}

// ReplayMatching makes all dead letters that match f be delivered again and
// returns how many, also when it fails midway.
func (c *Client) ReplayMatching(ctx context.Context, f Filter) (int, error) {
	return c.sweep(ctx, "replay", f)
}

// DiscardMatching removes all dead letters that match f for good and returns
// how many, also when it fails midway.
func (c *Client) DiscardMatching(ctx context.Context, f Filter) (int, error) {
	return c.sweep(ctx, "discard", f)
}

// Resume lets a far side be asked at once that is not well: "liveperson" or a
// channel's name.
func (c *Client) Resume(ctx context.Context, farSide string) error {
	return c.call(ctx, "resume", http.MethodPost, "/farsides/"+url.PathEscape(farSide)+"/resume", nil, new(resumedAnswer))
}

func letterPath(seq int64) string { return "/deadletters/" + strconv.FormatInt(seq, 10) }

func (c *Client) sweep(ctx context.Context, op string, f Filter) (int, error) {
	total := 0
	for {
		var done doneAnswer
		if err := c.call(ctx, op, http.MethodPost, "/deadletters/"+op, f, &done); err != nil {
			return total, err
		}
		total += done.Count
		if done.Next == 0 {
			return total, nil
		}
		f.After, f.DiedBefore = done.Next, done.DiedBefore
	}
}

// call makes one request and decodes its answer into out.
func (c *Client) call(ctx context.Context, op, method, path string, in, out any) error {
	resp, err := c.request(ctx, op, method, path, in)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, answerLimit))
	if err != nil {
		return fmt.Errorf("%s: read the answer: %w", op, err)
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("%s: %w", op, errNotOurs)
	}
	return nil
}

// request makes one request that must be answered 200. The body must be closed.
func (c *Client) request(ctx context.Context, op, method, path string, in any) (*http.Response, error) {
	var body io.Reader
	if in != nil {
		encoded, err := json.Marshal(in)
		if err != nil {
			return nil, fmt.Errorf("%s: encode: %w", op, err)
		}
		body = bytes.NewReader(encoded)
	}
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(c.BaseURL, "/")+path, body)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.Token)
	}
	client := c.HTTP
	if client == nil {
		client = http.DefaultClient
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%s: is the bridge running and the admin address right? %w", op, err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, answerLimit))
	if err != nil {
		return nil, fmt.Errorf("%s: read the answer: %w", op, err)
	}
	return nil, fmt.Errorf("%s: %w", op, problemIn(resp.StatusCode, answer))
}

var errNotOurs = errors.New("the answer is not a console's, check the admin address")

// problemIn reads an error answer; what something else than a console wrote is
// not repeated.
func problemIn(status int, body []byte) error {
	p := new(bridge.Problem)
	if json.Unmarshal(body, p) != nil || p.Status != status || p.Title == "" {
		return fmt.Errorf("%w: %s", errNotOurs, http.StatusText(status))
	}
	return p
}
