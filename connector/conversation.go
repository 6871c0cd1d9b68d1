package connector

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"slices"
)

// ConversationRequest is what a conversation starts with. The zero value is
// enough; LivePerson then routes by the account's default.
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

// CampaignInfo names an engagement of a campaign.
type CampaignInfo struct {
	CampaignID   string `json:"campaignId"`
	EngagementID string `json:"engagementId"`
}

// ConversationContext is where the consumer comes from.
type ConversationContext struct {
	// Type may be empty for "SharkContext", that of Monitoring sessions.
	Type                 string `json:"type"`
	VisitorID            string `json:"visitorId,omitempty"`
	SessionID            string `json:"sessionId,omitempty"`
	InteractionContextID string `json:"interactionContextId,omitempty"`
	// Lang is an IETF tag such as "en-US".
	Lang string `json:"lang,omitempty"`
}

// UserProfile is the consumer as agents see them. All fields are optional.
type UserProfile struct {
	FirstName   string
	LastName    string
	AvatarURL   string
	Description string
	Email       string
	Phone       string
	// CustomerInfo becomes the SDE "ctmrinfo".
	CustomerInfo *CustomerInfo
	// PersonalInfo becomes the SDE "personal". Names, e-mail and phone given
	// above are added to it when it does not have them.
	PersonalInfo *PersonalInfo
}

// CustomerInfo is LivePerson's SDE "ctmrinfo" ("Engagement Attributes" page).
type CustomerInfo struct {
	CStatus          string   `json:"cstatus,omitempty"`
	CType            string   `json:"ctype,omitempty"`
	CustomerID       string   `json:"customerId,omitempty"`
	Balance          *float64 `json:"balance,omitempty"`
	Currency         string   `json:"currency,omitempty"`
	SocialID         string   `json:"socialId,omitempty"`
	IMEI             string   `json:"imei,omitempty"`
	UserName         string   `json:"userName,omitempty"`
	CompanySize      *int     `json:"companySize,omitempty"`
	CompanyBranch    string   `json:"companyBranch,omitempty"`
	AccountName      string   `json:"accountName,omitempty"`
	Role             string   `json:"role,omitempty"`
	LoginStatus      string   `json:"loginStatus,omitempty"`
	LastPaymentDate  *Date    `json:"lastPaymentDate,omitempty"`
	RegistrationDate *Date    `json:"registrationDate,omitempty"`
}

// Date is a calendar day as SDEs spell it.
type Date struct {
	Day   int `json:"day"`
	Month int `json:"month"`
	Year  int `json:"year"`
}

// PersonalInfo is LivePerson's SDE "personal" ("Engagement Attributes" page).
type PersonalInfo struct {
	FirstName string    `json:"firstname,omitempty"`
	LastName  string    `json:"lastname,omitempty"`
	Age       *Age      `json:"age,omitempty"`
	Contacts  []Contact `json:"contacts,omitempty"`
	// Gender is MALE, FEMALE or OTHER.
	Gender   string `json:"gender,omitempty"`
	Language string `json:"language,omitempty"`
	Company  string `json:"company,omitempty"`
}

// Age is an age in years or a date of birth.
type Age struct {
	Age   int `json:"age,omitempty"`
	Year  int `json:"year,omitempty"`
	Month int `json:"month,omitempty"`
	Day   int `json:"day,omitempty"`
}

// Contact is a way to reach the consumer.
type Contact struct {
	Email string `json:"email,omitempty"`
	Phone string `json:"phone,omitempty"`
}

type wireProfile struct {
	FirstName         string             `json:"firstName,omitempty"`
	LastName          string             `json:"lastName,omitempty"`
	AvatarURL         string             `json:"avatarUrl,omitempty"`
	Description       string             `json:"description,omitempty"`
	PrivateData       *wirePrivate       `json:"privateData,omitempty"`
	AuthenticatedData *wireAuthenticated `json:"authenticatedData,omitempty"`
}

type wirePrivate struct {
	MobileNum string `json:"mobileNum,omitempty"`
	Mail      string `json:"mail,omitempty"`
}

type wireAuthenticated struct {
	SDEs []any `json:"lp_sdes"`
}

// sdes gives the profile's engagement attributes as LivePerson spells them.
func (p UserProfile) sdes() []any {
	var sdes []any
	if p.CustomerInfo != nil {
		sdes = append(sdes, struct {
			Type string        `json:"type"`
			Info *CustomerInfo `json:"info"`
		}{"ctmrinfo", p.CustomerInfo})
	}
	if personal, known := p.personal(); known {
		sdes = append(sdes, struct {
			Type     string       `json:"type"`
			Personal PersonalInfo `json:"personal"`
		}{"personal", personal})
	}
	return sdes
}

func (p UserProfile) personal() (personal PersonalInfo, known bool) {
	if p.PersonalInfo != nil {
		personal, known = *p.PersonalInfo, true
	}
	if personal.FirstName == "" {
		personal.FirstName = p.FirstName
	}
	if personal.LastName == "" {
		personal.LastName = p.LastName
	}
	if len(personal.Contacts) == 0 && (p.Email != "" || p.Phone != "") {
		personal.Contacts = []Contact{{Email: p.Email, Phone: p.Phone}}
	}
	return personal, known || personal.FirstName != "" || personal.LastName != "" || len(personal.Contacts) > 0
}

func (p UserProfile) wire() wireProfile {
	profile := wireProfile{FirstName: p.FirstName, LastName: p.LastName, AvatarURL: p.AvatarURL, Description: p.Description}
	if p.Email != "" || p.Phone != "" {
		profile.PrivateData = &wirePrivate{MobileNum: p.Phone, Mail: p.Email}
	}
	if sdes := p.sdes(); len(sdes) > 0 {
		profile.AuthenticatedData = &wireAuthenticated{SDEs: sdes}
	}
	return profile
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
		return "", notUnderstood(opConversation, got.status, errNoAnswer)
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

// unmatched judges an answer without an element for our conversation request.
func (c *Client) unmatched(got *answer, batch []response, err error) error {
	if success(got.status) {
		if len(batch) == 1 && !batch[0].ok() && batch[0].Code != "" {
			return refused(opConversation, got, string(batch[0].Code), batch[0].msg(), false)
		}
		return notUnderstood(opConversation, got.status, errNoAnswer)
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
