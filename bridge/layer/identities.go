package layer

import (
	"context"
	"errors"
	"net/http"

	"lpbridge/bridge"
)

// listIdentities answers GET /identities: those whom the user follows, which is
// the agent.
func (api *restAPI) listIdentities(_ context.Context, c *call) (response, error) {
	followed := []fullIdentity{}
	if c.URL.Query().Get("from_id") == "" {
		followed = append(followed, c.view.fullIdentity(api.cfg.AgentID))
	}
	return response{status: http.StatusOK, body: followed, count: new(1)}, nil
}

// showIdentity answers GET /identities/USER_ID. Users do not see each other.
func (api *restAPI) showIdentity(ctx context.Context, c *call) (response, error) {
	user := c.PathValue("user")
	if user != c.view.viewer.User && !api.cfg.isAgent(user) {
		return response{}, errNotFound
	}
	shown := c.view.fullIdentity(user)
	if known, err := kindAgent.Find(ctx, api.records, keyUser+user); err == nil {
		shown.basicIdentity = shown.named(known.Name, known.AvatarURL)
	} else if !errors.Is(err, bridge.ErrNoRecord) {
		return response{}, err
	}
	return response{status: http.StatusOK, body: shown}, nil
}
