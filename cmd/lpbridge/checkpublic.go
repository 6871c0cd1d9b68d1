package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"lpbridge/bridge"
	"lpbridge/connector"
)

// publicAnswerLimit is how much of an answer of the public address is read, in bytes.
const publicAnswerLimit = 4 << 10

// unshown are features that LivePerson knows and no channel of ours can show.
var unshown = []string{connector.FeatureCoBrowse, connector.FeatureCoApp, connector.FeatureSecureForms}

// checkFeatures says what is declared to LivePerson, and what of it leads agents
// to send what nobody gets. LivePerson has no call that tells which of them an
// account has.
func (c *checker) checkFeatures(s *settings, features []string) {
	if len(features) == 0 {
		c.warn("features", "none: no channel takes messages, so LivePerson is told to send no cards, quick replies, surveys or files")
		return
	}
	c.report("features", "declared: "+strings.Join(features, ", "), nil)
	for _, f := range features {
		switch {
		case slices.Contains(unshown, f):
			c.warn("feature "+f, "is in LP_FEATURES and no channel can show it")
		case s.Bridge.PublicURL == nil && (f == connector.FeatureFileSharing || f == connector.FeaturePhotoSharing):
			c.warn("feature "+f, "is in LP_FEATURES, but without LPBRIDGE_PUBLIC_URL only channels that upload get files")
		}
	}
}

// checkPublicURL asks the address that LivePerson was given whether a bridge is
// there. Before the bridge runs nobody need be, so that it is no fault then.
func (c *checker) checkPublicURL(ctx context.Context, s *settings) {
	if s.Bridge.PublicURL == nil {
		c.warn("files", "LPBRIDGE_PUBLIC_URL is not set: agents' files reach channels that upload them, others get a sentence in their stead")
		return
	}
	err := askPublicURL(ctx, s)
	switch {
	case err == nil:
		c.report("LPBRIDGE_PUBLIC_URL", "a bridge answers there", nil)
	case runs(ctx, s):
		c.report("LPBRIDGE_PUBLIC_URL", "", err)
	default:
		c.warn("LPBRIDGE_PUBLIC_URL", fmt.Sprintf("%v; no bridge runs here yet, so check again when it does", err))
	}
}

// askPublicURL makes a request that changes nothing: our front door for
// notifications refuses it in words of its own.
func askPublicURL(ctx context.Context, s *settings) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.Bridge.PublicURL.JoinPath(notificationsPath).String(), nil)
	if err != nil {
		return err
	}
	req.Header.Set("User-Agent", userAgent())
	// A redirect would be followed by us and by nobody who sends notifications.
	client := &http.Client{Transport: newChannelTransport(1, false), CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("nobody answers there: %w", errors.Unwrap(err))
	}
	defer resp.Body.Close()
	var p bridge.Problem
	answer, err := io.ReadAll(io.LimitReader(resp.Body, publicAnswerLimit))
	if err == nil {
		err = json.Unmarshal(answer, &p)
	}
	if err != nil || resp.StatusCode != http.StatusMethodNotAllowed || p.Status != resp.StatusCode {
		return fmt.Errorf("what answers %s there with %d is no bridge", notificationsPath, resp.StatusCode)
	}
	return nil
}

// runs reports whether a bridge of this environment runs on this machine.
func runs(ctx context.Context, s *settings) bool {
	admin := clientOf(s.Bridge)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, admin.BaseURL+"/healthz", nil)
	if err != nil {
		return false
	}
	resp, err := admin.HTTP.Do(req)
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}
