package connector

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"

	"github.com/hashicorp/go-retryablehttp"

	"lpbridge/internal/attempt"
	"lpbridge/lpauth"
)

const opEngagement = "engagement"

// EngagementRequest asks which campaign a consumer falls into ("Monitoring API
// Engagement" page). All fields are optional.
type EngagementRequest struct {
	// ConsumerID is the brand's own id of the consumer; it must not be guessable.
	ConsumerID string
	// VisitorID and SessionID are those of an earlier answer, to continue its
	// session; empty at first.
	VisitorID string
	SessionID string
	// EntryPoints such as "sec://Sport" or "lang://English".
	EntryPoints []string
	// Profile gives the engagement attributes.
	Profile UserProfile
}

// Engagement is the Monitoring API's answer ("Monitoring API Engagement" page): a
// session, and the engagement to route by if the consumer is eligible for one.
type Engagement struct {
	SessionID string
	VisitorID string
	PageID    string
	// CampaignID and EngagementID are empty when there is no engagement: open
	// the conversation without campaign then.
	CampaignID   string
	EngagementID string
	ContextID    string
	ConnectorID  string
	// ConversationID is the consumer's open conversation, if there is one.
	ConversationID ConversationID
	// Status is "expose", or "conversation" (also spelled "interaction").
	Status string
}

// CampaignInfo is the engagement as a conversation request needs it.
func (e Engagement) CampaignInfo() CampaignInfo {
	if e.CampaignID == "" || e.EngagementID == "" {
		return CampaignInfo{}
	}
	return CampaignInfo{CampaignID: e.CampaignID, EngagementID: e.EngagementID}
}

// Context is the session as a conversation request needs it.
func (e Engagement) Context() *ConversationContext {
	return &ConversationContext{VisitorID: e.VisitorID, SessionID: e.SessionID, InteractionContextID: e.ContextID}
}

type wireEngagement struct {
	ConsumerID  string         `json:"consumerId,omitempty"`
	Identities  []wireIdentity `json:"identities,omitempty"`
	EntryPoints []string       `json:"entryPoints,omitempty"`
	Attributes  []any          `json:"engagementAttributes,omitempty"`
}

type wireIdentity struct {
	Iss string `json:"iss"`
	Acr string `json:"acr"`
	Sub string `json:"sub"`
}

// Engagement asks the Monitoring API ("Monitoring API Engagement" page), on the
// way to a conversation that is routed by campaign. It is repeated a few times
// by itself. Messages must not wait for it to work: open the conversation
// without it when it fails.
func (c *Client) Engagement(ctx context.Context, r EngagementRequest) (Engagement, error) {
	if c.clientID == "" {
		return Engagement{}, invalid(opEngagement, "client id was not given to New")
	}
	ask := wireEngagement{ConsumerID: r.ConsumerID, EntryPoints: r.EntryPoints, Attributes: r.Profile.limited().sdes()}
	if r.ConsumerID != "" {
		// consumerId is deprecated in favour of identities, but in all examples.
		ask.Identities = []wireIdentity{{Iss: "LivePerson", Acr: "loa1", Sub: r.ConsumerID}}
	}
	body, err := encode(ask)
	if err != nil {
		return Engagement{}, invalid(opEngagement, "request cannot be written as json")
	}
	base, err := c.domains.BaseURL(ctx, lpauth.ServiceMonitoring)
	if err != nil {
		return Engagement{}, notPrepared(opEngagement, err)
	}
	req, err := retryablehttp.NewRequestWithContext(ctx, http.MethodPost, c.engagementURL(base, r), body)
	if err != nil {
		return Engagement{}, invalid(opEngagement, "base url is not usable")
	}
	req.Header["Content-Type"], req.Header["Accept"], req.Header["User-Agent"] = jsonType, jsonType, c.userAgent
	resp, err := c.repeatable.Do(req)
	if err != nil {
		if resp != nil {
			attempt.Drain(resp.Body)
		}
		return Engagement{}, repeatable(lost(opEngagement, err))
	}
	got, err := readAnswer(opEngagement, resp)
	if err != nil {
		return Engagement{}, repeatable(err)
	}
	defer got.release()
	if !success(got.status) {
		return Engagement{}, repeatable(refused(opEngagement, got, "", "", false))
	}
	return decodeEngagement(got)
}

func (c *Client) engagementURL(base string, r EngagementRequest) string {
	query := url.Values{"v": {"1.0"}}
	if r.VisitorID != "" {
		query.Set("vid", r.VisitorID)
	}
	if r.SessionID != "" {
		query.Set("sid", r.SessionID)
	}
	return base + "/api/account/" + url.PathEscape(string(c.account)) + "/app/" + url.PathEscape(c.clientID) + "/engagement?" + query.Encode()
}

// decodeEngagement reads ids that are numbers here and strings elsewhere.
func decodeEngagement(got *answer) (Engagement, error) {
	type details struct {
		CampaignID     loose `json:"campaignId"`
		EngagementID   loose `json:"engagementId"`
		ContextID      loose `json:"contextId"`
		ConnectorID    loose `json:"connectorId"`
		ConversationID loose `json:"conversationId"`
		Status         loose `json:"status"`
	}
	var body struct {
		SessionID loose              `json:"sessionId"`
		VisitorID loose              `json:"visitorId"`
		PageID    loose              `json:"pageId"`
		Details   oneOrMany[details] `json:"engagementDetails"`
	}
	if json.Unmarshal(got.body, &body) != nil {
		return Engagement{}, &Error{Op: opEngagement, StatusCode: got.status, Outcome: Retry, Err: errors.New("answer is not the expected json")}
	}
	e := Engagement{SessionID: string(body.SessionID), VisitorID: string(body.VisitorID), PageID: string(body.PageID)}
	if len(body.Details) > 0 {
		d := body.Details[0]
		e.CampaignID, e.EngagementID, e.ContextID = string(d.CampaignID), string(d.EngagementID), string(d.ContextID)
		e.ConnectorID, e.ConversationID, e.Status = string(d.ConnectorID), ConversationID(d.ConversationID), string(d.Status)
	}
	return e, nil
}
