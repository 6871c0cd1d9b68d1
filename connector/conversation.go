package connector

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"slices"
)

// ConversationRequest is what a conversation starts with ("CONVERSATION" page).
// The zero value is enough; LivePerson then routes by the account's default.
type ConversationRequest struct {
	// Profile is what the agent sees of the consumer.
	Profile UserProfile
	// SkillID routes to a skill; empty means "-1", all skills. LivePerson
	// recommends campaigns instead.
	SkillID string
	// CampaignInfo routes by a campaign's engagement, and is needed for
	// reporting. Both ids or none.
	CampaignInfo CampaignInfo
	// Context ties the conversation to a Monitoring session; see [Engagement].
	Context *ConversationContext
	// TTRDefName is NORMAL, URGENT or PRIORITIZED; empty leaves it to the account.
	TTRDefName string
}

// CampaignInfo names an engagement of a campaign ("CONVERSATION" page).
type CampaignInfo struct {
	CampaignID   string `json:"campaignId"`
	EngagementID string `json:"engagementId"`
}

// ConversationContext is where the consumer comes from ("CONVERSATION" page).
type ConversationContext struct {
	// Type may be empty for "SharkContext", that of Monitoring sessions.
	// "CustomContext" is that of LivePerson's own connectors, with a Name.
	Type                 string `json:"type"`
	Name                 string `json:"name,omitempty"`
	VisitorID            string `json:"visitorId,omitempty"`
	SessionID            string `json:"sessionId,omitempty"`
	InteractionContextID string `json:"interactionContextId,omitempty"`
	// Lang is an IETF tag such as "en-US".
	Lang string `json:"lang,omitempty"`
}

type wireConversation struct {
	TTRDefName          string               `json:"ttrDefName,omitempty"`
	CampaignInfo        *CampaignInfo        `json:"campaignInfo,omitempty"`
	ConversationContext *ConversationContext `json:"conversationContext,omitempty"`
	ChannelType         string               `json:"channelType"`
	BrandID             AccountID            `json:"brandId"`
	SkillID             string               `json:"skillId"`
}

func (r ConversationRequest) wire(account AccountID) wireConversation {
	body := wireConversation{TTRDefName: r.TTRDefName, ChannelType: "MESSAGING", BrandID: account, SkillID: r.SkillID}
	if body.SkillID == "" {
		body.SkillID = "-1"
	}
	if r.CampaignInfo != (CampaignInfo{}) {
		body.CampaignInfo = &r.CampaignInfo
	}
	if r.Context != nil {
		from := *r.Context
		if from.Type == "" {
			from.Type = "SharkContext"
		}
		body.ConversationContext = &from
	}
	return body
}

const (
	opProfile      = "userprofile.SetUserProfile"
	opConversation = "cm.ConsumerRequestConversation"
)

// Conversation opens a conversation for the consumer ("CONVERSATION" page): one
// HTTP request with two elements, the profile and the conversation. They are
// not one transaction, so a refused profile is logged and does not take the
// conversation away. A consumer has at most one: errors.Is(err, [ErrAlreadyOpen])
// tells that it exists already, which is also how an earlier Unknown may end.
// The notification of the new conversation may arrive before this returns.
func (c *Client) Conversation(ctx context.Context, consumer ConsumerIdentity, r ConversationRequest) (ConversationID, error) {
	if (r.CampaignInfo.CampaignID == "") != (r.CampaignInfo.EngagementID == "") {
		return "", invalid(opConversation, "campaignInfo: campaignId and engagementId go together")
	}
	profileID, conversationID := c.requestID(), c.requestID()
	got, err := c.call(ctx, opConversation, &c.conversationURL, consumer, []request{
		{Kind: "req", ID: profileID, Type: opProfile, Body: r.Profile.wire()},
		{Kind: "req", ID: conversationID, Type: opConversation, Body: r.wire(c.account)},
	})
	if err != nil {
		return "", err
	}
	defer got.release()
	batch, err := decodeBatch(got.body)
	mine := slices.IndexFunc(batch, func(r response) bool { return string(r.ReqID) == conversationID })
	if mine < 0 {
		return "", c.unmatched(got, batch, err)
	}
	if !batch[mine].ok() {
		return "", refused(opConversation, got, string(batch[mine].Code), batch[mine].msg(), false)
	}
	var body struct {
		ConversationID ConversationID `json:"conversationId"`
	}
	if json.Unmarshal(batch[mine].Body, &body) != nil || body.ConversationID == "" {
		return "", notUnderstood(opConversation, got, errNoAnswer)
	}
	c.noteProfile(ctx, got, batch, profileID, body.ConversationID)
	return body.ConversationID, nil
}

// decodeBatch reads an array of answers, or the single one that errors of the
// whole request come as.
func decodeBatch(body []byte) (batch []response, err error) {
	var either oneOrMany[response]
	if len(bytes.TrimSpace(body)) == 0 {
		return nil, errNoAnswer
	}
	err = json.Unmarshal(body, &either)
	return either, err
}

// unmatched classifies an answer without an element for our conversation request.
func (c *Client) unmatched(got *answer, batch []response, err error) error {
	if success(got.status) {
		if len(batch) == 1 && !batch[0].ok() && batch[0].Code != "" {
			return refused(opConversation, got, string(batch[0].Code), batch[0].msg(), false)
		}
		return notUnderstood(opConversation, got, errNoAnswer)
	}
	if err == nil {
		for _, r := range batch {
			if !r.ok() {
				return refused(opConversation, got, string(r.Code), r.msg(), false)
			}
		}
	}
	return refused(opConversation, got, "", "", false)
}

// noteProfile logs a profile that was refused beside a conversation that was not.
func (c *Client) noteProfile(ctx context.Context, got *answer, batch []response, profileID string, id ConversationID) {
	for _, r := range batch {
		if string(r.ReqID) == profileID && !r.ok() {
			c.log.LogAttrs(ctx, slog.LevelWarn, "consumer profile refused", slog.String("account", string(c.account)),
				slog.String("conversation", string(id)), slog.Any("error", refused(opProfile, got, string(r.Code), r.msg(), false)))
		}
	}
}
