package layer

import (
	"context"
	"net/http"
)

// listIdentities answers GET /identities: those whom the user follows, which is
// the agent.
func (l *Layer) listIdentities(_ context.Context, c *call) (response, error) {
	followed := []fullIdentity{}
	if c.URL.Query().Get("from_id") == "" {
		followed = append(followed, c.view.fullIdentity(l.cfg.AgentID))
	}
	return response{status: http.StatusOK, body: followed, count: new(1)}, nil
}

// showIdentity answers GET /identities/USER_ID. Users do not see each other.
func (l *Layer) showIdentity(_ context.Context, c *call) (response, error) {
	user := c.PathValue("user")
	if user != c.view.viewer.User && !l.cfg.isAgent(user) {
		return response{}, errNotFound
	}
	return response{status: http.StatusOK, body: c.view.fullIdentity(user)}, nil
}
