package connector

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"

	"lpbridge/lpauth"
)

const opAgentProfile = "agent profile"

// ErrNoProfile is matched when nobody may know the agent's profile, or there is
// none. That the id of a participant is the one to ask by is likely and nowhere
// promised, so this is an answer like any other.
var ErrNoProfile = errors.New("no public profile of this agent")

// AgentProfile is what LivePerson tells anybody about an agent ("Get Agent Public
// Profile" page). All fields may be empty.
type AgentProfile struct {
	Nickname string
	FullName string
	// PictureURL is an address as the agent gave it: check it before following it.
	PictureURL string
}

// AgentProfile asks for the public profile of an agent by originator or
// participant id, in one attempt without any token. Keep the answer, ErrNoProfile
// too, and never let a message wait for it.
func (c *Client) AgentProfile(ctx context.Context, agentID string) (AgentProfile, error) {
	if agentID == "" {
		return AgentProfile{}, invalid(opAgentProfile, "agent id is empty")
	}
	base, err := c.domains.BaseURL(ctx, lpauth.ServiceAgentProfiles)
	if errors.Is(err, lpauth.ErrNoService) {
		return AgentProfile{}, &Error{Op: opAgentProfile, Outcome: Invalid, Certainty: Refused, Err: ErrNoProfile}
	}
	if err != nil {
		return AgentProfile{}, notPrepared(opAgentProfile, err)
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	at := base + "/api/account/" + url.PathEscape(string(c.account)) + "/configuration/le-users/users/" + url.PathEscape(agentID)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return AgentProfile{}, invalid(opAgentProfile, "agent id does not fit into a url")
	}
	req.Header["Accept"], req.Header["User-Agent"] = jsonType, c.userAgent
	resp, err := c.rt.RoundTrip(req)
	if err != nil {
		return AgentProfile{}, repeatable(lost(opAgentProfile, err))
	}
	got, err := readAnswer(opAgentProfile, resp)
	if err != nil {
		return AgentProfile{}, repeatable(err)
	}
	defer got.release()
	return decodeAgentProfile(got)
}

func decodeAgentProfile(got *answer) (AgentProfile, error) {
	switch {
	case got.status == http.StatusNotFound, got.status == http.StatusForbidden, got.status == http.StatusUnauthorized:
		return AgentProfile{}, &Error{Op: opAgentProfile, StatusCode: got.status, Outcome: Invalid, Certainty: Refused, Err: ErrNoProfile}
	case !success(got.status):
		return AgentProfile{}, repeatable(refused(opAgentProfile, got, "", "", false))
	}
	var wire struct {
		Nickname   loose `json:"nickname"`
		FullName   loose `json:"fullName"`
		PictureURL loose `json:"pictureUrl"`
	}
	if json.Unmarshal(got.body, &wire) != nil {
		return AgentProfile{}, repeatable(notUnderstood(opAgentProfile, got, errNoAnswer))
	}
	return AgentProfile{Nickname: string(wire.Nickname), FullName: string(wire.FullName), PictureURL: string(wire.PictureURL)}, nil
}
