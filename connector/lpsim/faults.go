package lpsim

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// API names one of LivePerson's interfaces in [Rates] and in the statistics.
type API string

// The interfaces of LivePerson that the simulator plays.
const (
	DomainAPI       API = "domain"
	SentinelAPI     API = "sentinel"
	IDPAPI          API = "idp"
	ConversationAPI API = "conversation"
	SendAPI         API = "send"
	SwiftAPI        API = "swift"
	EngagementAPI   API = "engagement"
)

var apis = []API{DomainAPI, SentinelAPI, IDPAPI, ConversationAPI, SendAPI, SwiftAPI, EngagementAPI}

func (a API) index() int { return slices.Index(apis, a) }

// everywhere is the key of a rate that holds for every API without one of its own.
const everywhere API = "*"

// Rates is a probability from 0 to 1 for each API. In JSON it is a number, which holds for all of them, or an
// object such as {"send":0.1,"idp":1}, where "*" stands for the APIs not named.
type Rates map[API]float64

// Everywhere gives every API the same rate.
func Everywhere(rate float64) Rates { return Rates{everywhere: rate} }

func (r Rates) of(a API) float64 {
	if rate, ok := r[a]; ok {
		return rate
	}
	return r[everywhere]
}

// MarshalJSON writes a plain number when all APIs have the same rate.
func (r Rates) MarshalJSON() ([]byte, error) {
	if len(r) == 0 {
		return []byte("0"), nil
	}
	if rate, ok := r[everywhere]; ok && len(r) == 1 {
		return json.Marshal(rate)
	}
	return json.Marshal(map[API]float64(r))
}

// UnmarshalJSON reads a number or an object of API names.
func (r *Rates) UnmarshalJSON(data []byte) error {
	var rate float64
	if json.Unmarshal(data, &rate) == nil {
		*r = Rates{everywhere: rate}
		return nil
	}
	var each map[API]float64
	if err := json.Unmarshal(data, &each); err != nil {
		return errors.New("want a number or an object of API names and numbers")
	}
	*r = each
	return nil
}

func (r Rates) check() error {
	for _, api := range slices.Sorted(maps.Keys(r)) {
		if api != everywhere && api.index() < 0 {
			return fmt.Errorf("%q is not an API (%v)", api, apis)
		}
		if rate := r[api]; rate < 0 || rate > 1 {
			return fmt.Errorf("rate of %q must be from 0 to 1", api)
		}
	}
	return nil
}

// Outage is a window in which every LivePerson API fails. It counts from the moment the faults were set.
type Outage struct {
	AfterMs int `json:"afterMs"`
	ForMs   int `json:"forMs"`
	// Status is what is answered meanwhile; 0 closes the connection without an answer.
	Status int `json:"status"`
}

// Faults is everything that can be made to go wrong, and every choice LivePerson's documentation leaves open. The
// zero value is a well-behaved LivePerson with the defaults named in the struct tags. The README's table is made
// from these tags.
type Faults struct {
	Seed uint64 `json:"seed" help:"seed of all rates; the same seed and the same order of calls to one API give the same faults"`

	ErrorRate          Rates    `json:"errorRate" help:"share of calls answered with errorStatus, before anything is applied"`
	ErrorStatus        int      `json:"errorStatus" default:"500" min:"500" max:"599" help:"status of such an answer"`
	ThrottleRate       Rates    `json:"throttleRate" help:"share of calls answered 429, before anything is applied"`
	RetryAfterSeconds  int      `json:"retryAfterSeconds" min:"0" max:"3600" help:"Retry-After of a 429 in seconds; 0 sends none, as LivePerson documents none"`
	ThrottleBody       string   `json:"throttleBody" default:"json" oneof:"json|empty" help:"undocumented body of a 429"`
	ConcurrencyLimit   int      `json:"concurrencyLimit" min:"0" max:"1000000" help:"calls of CONVERSATION and SEND in progress above which 429 is answered; 0 is no limit"`
	LatencyMinMs       int      `json:"latencyMinMs" min:"0" max:"600000" help:"least time an answer takes, in ms"`
	LatencyMaxMs       int      `json:"latencyMaxMs" min:"0" max:"600000" help:"most time an answer takes, in ms; below latencyMinMs it counts as that"`
	LatencyBeforeShare float64  `json:"latencyBeforeShare" min:"0" max:"1" help:"share of the latency spent before the call is applied; the rest follows it"`
	LostAnswerRate     Rates    `json:"lostAnswerRate" help:"share of calls that are applied and then lose their connection without an answer"`
	LostRequestRate    Rates    `json:"lostRequestRate" help:"share of calls that lose their connection before anything is applied"`
	UnauthorizedRate   Rates    `json:"unauthorizedRate" help:"share of calls (idp, conversation, send) at which LivePerson forgets the AppJWT: 40102 until a new one is fetched"`
	Outages            []Outage `json:"outages" help:"windows [{afterMs,forMs,status}] since the faults were set, in which all LivePerson APIs fail; status 0 closes connections"`

	WebhookDuplicateRate   float64 `json:"webhookDuplicateRate" min:"0" max:"1" help:"share of notifications delivered twice"`
	WebhookReorderRate     float64 `json:"webhookReorderRate" min:"0" max:"1" help:"share of notifications delivered after the next one of their conversation, or after 1 s"`
	WebhookEarlyRate       float64 `json:"webhookEarlyRate" min:"0" max:"1" help:"share of CONVERSATION and SEND answers held back until their notification was delivered"`
	WebhookDelayRate       float64 `json:"webhookDelayRate" min:"0" max:"1" help:"share of notifications delayed; later ones overtake them"`
	WebhookDelayMinMs      int     `json:"webhookDelayMinMs" min:"0" max:"600000" help:"least delay of such a notification, in ms"`
	WebhookDelayMaxMs      int     `json:"webhookDelayMaxMs" min:"0" max:"600000" help:"most delay of such a notification, in ms"`
	WebhookDropRate        float64 `json:"webhookDropRate" min:"0" max:"1" help:"share of notifications never delivered"`
	WebhookBatchMs         int     `json:"webhookBatchMs" min:"0" max:"60000" help:"window in ms in which changes of one conversation and type share a notification; 0 sends each alone"`
	WebhookBareChangeRate  float64 `json:"webhookBareChangeRate" min:"0" max:"1" help:"share of single changes sent as an object instead of an array of one"`
	WebhookForeignRate     float64 `json:"webhookForeignRate" min:"0" max:"1" help:"share of notifications accompanied by one of a conversation that another connector owns"`
	WebhookTimeoutMs       int     `json:"webhookTimeoutMs" default:"5000" min:"1" max:"600000" help:"time a webhook may take, in ms; another page of LivePerson says 10000"`
	WebhookSlowMs          int     `json:"webhookSlowMs" default:"2500" min:"1" max:"600000" help:"answer time in ms above which a webhook counts as slow"`
	WebhookDisableWhenSlow bool    `json:"webhookDisableWhenSlow" help:"disable all webhooks after 2 minutes of slow answers only, as LivePerson threatens"`
	WebhookContentType     string  `json:"webhookContentType" default:"application/json" help:"undocumented Content-Type of notifications"`

	OmitConversationIDRate float64 `json:"omitConversationIdRate" min:"0" max:"1" help:"share of messaging notifications without conversationId (older payloads)"`
	OmitAudienceRate       float64 `json:"omitAudienceRate" min:"0" max:"1" help:"share of public messages without messageAudience"`
	NullMetadataRate       float64 `json:"nullMetadataRate" min:"0" max:"1" help:"share of changes without metadata that say metadata:null"`
	OmitStageRate          float64 `json:"omitStageRate" min:"0" max:"1" help:"share of conversation notifications without stage; ignored while a survey is open"`
	OmitDialogsRate        float64 `json:"omitDialogsRate" min:"0" max:"1" help:"share of conversation notifications without dialogs; ignored when a survey dialog exists"`
	OmitEndTsRate          float64 `json:"omitEndTsRate" min:"0" max:"1" help:"share of closing notifications without endTs"`
	SubscriptionIDRate     float64 `json:"subscriptionIdRate" min:"0" max:"1" help:"share of conversation notifications with a subscriptionId"`
	ParticipantsMapRate    float64 `json:"participantsMapRate" min:"0" max:"1" help:"share of conversation notifications with participants as a map of roles"`
	DialogsReversedRate    float64 `json:"dialogsReversedRate" min:"0" max:"1" help:"share of conversation notifications with the survey dialog before the main one"`

	AppJWTSeconds          int    `json:"appJwtSeconds" default:"3600" min:"1" max:"86400" help:"life of an AppJWT in seconds"`
	DomainSingleForm       string `json:"domainSingleForm" default:"object" oneof:"object|list" help:"shape of the one-service domain answer"`
	DomainUnknownService   string `json:"domainUnknownService" default:"404" oneof:"404|400|empty" help:"answer for a service the account does not have; empty is 200 with an empty list"`
	OAuthErrorStatus       int    `json:"oauthErrorStatus" default:"401" oneof:"400|401" help:"status of a refused client_id or client_secret"`
	OAuthErrorForm         string `json:"oauthErrorForm" default:"rfc6749" oneof:"rfc6749|internal" help:"body of Sentinel errors"`
	IDPErrorForm           string `json:"idpErrorForm" default:"internal" oneof:"rfc6749|internal" help:"body of IDP errors"`
	IdentityIncludesApp    bool   `json:"identityIncludesApp" help:"whether client_id takes part in lp_consumer_id"`
	ExtConsumerIDMax       int    `json:"extConsumerIdMax" default:"1024" min:"1" max:"100000" help:"longest ext_consumer_id, in bytes"`
	BearerPrefix           string `json:"bearerPrefix" default:"reject" oneof:"reject|accept" help:"whether tokens may be prefixed with Bearer"`
	MissingAppJWTCode      int    `json:"missingAppJwtCode" default:"40105" oneof:"40105|40104" help:"errorCode without Authorization header; LivePerson's table and example differ"`
	MissingParameterStatus int    `json:"missingParameterStatus" default:"400" oneof:"400|401" help:"HTTP status of errorCode 40001"`
	ForeignConversation    int    `json:"foreignConversationCode" default:"40103" oneof:"40102|40103" help:"errorCode of the 401 for another consumer's conversation"`
	BatchErrorStatus       int    `json:"batchErrorStatus" default:"400" oneof:"400|200" help:"HTTP status of a CONVERSATION batch with a failed element"`
	BatchAfterError        string `json:"batchAfterError" default:"attempt" oneof:"attempt|skip" help:"whether the second request is tried when the first one failed"`
	SendErrorStatus        int    `json:"sendErrorStatus" default:"400" oneof:"400|200" help:"HTTP status of functional errors of SEND"`
	UnknownConversation    string `json:"unknownConversation" default:"bad_request" oneof:"bad_request|unauthorized|not_found" help:"answer for an unknown conversation or dialog"`
	UnknownSequence        string `json:"unknownSequence" default:"accept" oneof:"accept|reject" help:"answer for a receipt of a sequence that does not exist"`
	RequestLimit           int    `json:"requestLimit" default:"5000" min:"1" max:"1000000" help:"longest SEND request"`
	RequestLimitUnit       string `json:"requestLimitUnit" default:"characters" oneof:"characters|bytes" help:"what requestLimit counts"`
	RequestLimitAll        bool   `json:"requestLimitAll" help:"apply requestLimit to hosted files and CONVERSATION too"`
	EncodedMetadata        string `json:"encodedMetadata" default:"accept" oneof:"accept|reject" help:"whether encodedMetadata is allowed on SEND"`
	UpdateMessage          string `json:"updateMessage" default:"OK Conversation updated successfully" help:"undocumented msg of field updates other than closing"`
	CloseStartsSurvey      bool   `json:"closeStartsSurvey" help:"whether ConversationStateField CLOSE of a consumer starts a survey"`
	NewDuringSurvey        string `json:"newDuringSurvey" default:"reject" oneof:"reject|allow" help:"whether a consumer in a survey may open a new conversation"`
	SurveyChatState        string `json:"surveyChatState" default:"reject" oneof:"reject|ignore" help:"answer for a consumer's chat state in a survey dialog"`
	SurveyActionCheck      string `json:"surveyActionCheck" default:"reject" oneof:"reject|record" help:"answer for an ACTION in a survey that names no offered reply"`
	SurveyBotDelayMs       int    `json:"surveyBotDelayMs" min:"0" max:"600000" help:"time the survey bot takes, in ms"`
	SurveyGreetingEarly    bool   `json:"surveyGreetingEarly" help:"send the survey's greeting before the notification that announces its dialog"`
	ContentEchoMetadata    bool   `json:"contentEchoMetadata" help:"whether the echo of a ContentEvent carries its metadata"`
	FeatureGate            string `json:"featureGate" default:"enforce" oneof:"enforce|ignore" help:"whether rich content and quick replies are withheld from clients that did not declare them in Client-Properties"`
	AgentLeavesOnClose     bool   `json:"agentLeavesOnClose" help:"whether a closing notification no longer lists the agent"`
	AutoCloseMs            int    `json:"autoCloseMs" min:"0" max:"2000000000" help:"close a conversation that waits this long for its consumer, in ms; 0 never"`
	Engagement             string `json:"engagement" default:"eligible" oneof:"eligible|none|loading|unavailable" help:"what Monitoring answers: an engagement, none, 500 loading account, 503"`
	EngagementWord         string `json:"engagementWord" default:"conversation" oneof:"conversation|interaction" help:"status of an engagement that is an active conversation"`
}

// WithDefaults gives the same faults with every unset choice at its default.
func (f Faults) WithDefaults() Faults {
	v := reflect.ValueOf(&f).Elem()
	for i := range v.NumField() {
		if def := v.Type().Field(i).Tag.Get("default"); def != "" && v.Field(i).IsZero() {
			setDefault(v.Field(i), def)
		}
	}
	return f
}

func setDefault(v reflect.Value, def string) {
	if v.Kind() == reflect.String {
		v.SetString(def)
		return
	}
	var n int64
	if _, err := fmt.Sscan(def, &n); err != nil {
		panic("lpsim: default tag " + def)
	}
	v.SetInt(n)
}

// Validate reports every field out of range, by its JSON name.
func (f Faults) Validate() error {
	var errs []error
	v := reflect.ValueOf(f.WithDefaults())
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if err := checkKnob(v.Field(i), field.Tag); err != nil {
			errs = append(errs, &FieldError{Field: field.Tag.Get("json"), Reason: err.Error()})
		}
	}
	return errors.Join(errs...)
}

func checkKnob(v reflect.Value, tag reflect.StructTag) error {
	switch value := v.Interface().(type) {
	case Rates:
		return value.check()
	case []Outage:
		for i, o := range value {
			if o.AfterMs < 0 || o.ForMs <= 0 || o.Status != 0 && (o.Status < 400 || o.Status > 599) {
				return fmt.Errorf("outage %d needs afterMs of at least 0, forMs above 0 and a status of 0 or from 400 to 599", i)
			}
		}
		return nil
	}
	if choices := tag.Get("oneof"); choices != "" {
		if !slices.Contains(strings.Split(choices, "|"), fmt.Sprint(v.Interface())) {
			return errors.New("want one of " + choices)
		}
	}
	return checkRange(v, tag.Get("min"), tag.Get("max"))
}

func checkRange(v reflect.Value, low, high string) error {
	if low == "" {
		return nil
	}
	var least, most, n float64
	fmt.Sscan(low, &least)
	fmt.Sscan(high, &most)
	if n = 0; v.CanInt() {
		n = float64(v.Int())
	} else {
		n = v.Float()
	}
	if !(n >= least && n <= most) {
		return fmt.Errorf("want a number from %s to %s", low, high)
	}
	return nil
}

// FieldError names the field of a request or a configuration that was refused.
type FieldError struct {
	Field  string
	Reason string
}

// Error returns the field and what is wrong with it.
func (e *FieldError) Error() string { return e.Field + ": " + e.Reason }

// ParseFaults reads faults from JSON. Unknown names, wrong types and values out of range are errors that name the
// field; names left out have their defaults.
func ParseFaults(data []byte) (Faults, error) {
	var f Faults
	if err := decodeStrict(data, &f); err != nil {
		return Faults{}, err
	}
	return f, f.Validate()
}

// decodeStrict reads exactly one JSON value without unknown fields into v.
func decodeStrict(data []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return jsonFieldError(err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return &FieldError{Field: "body", Reason: "something follows the JSON value"}
	}
	return nil
}

func jsonFieldError(err error) error {
	if typeErr, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && typeErr.Field != "" {
		return &FieldError{Field: typeErr.Field, Reason: "want " + typeErr.Type.String() + ", got " + typeErr.Value}
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return &FieldError{Field: strings.Trim(name, `"`), Reason: "unknown field"}
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return &FieldError{Field: "body", Reason: "not a complete JSON value"}
	}
	return &FieldError{Field: "body", Reason: err.Error()}
}

// knob numbers the independent random sequences, so that one knob's draws never shift another's.
type knob int

const (
	rollError knob = iota
	rollThrottle
	rollLatency
	rollLostAnswer
	rollLostRequest
	rollUnauthorized
	rollDuplicate
	rollReorder
	rollEarly
	rollDelay
	rollDelayTime
	rollDrop
	rollBare
	rollForeign
	rollConversationID
	rollAudience
	rollMetadata
	rollStage
	rollDialogs
	rollEndTs
	rollSubscription
	rollParticipants
	rollReversed
	knobs
)

// inForce is a set of faults together with the moment it was set and its random sequences. It replaces the former
// set as a whole, so a call sees one set from beginning to end.
type inForce struct {
	Faults
	since time.Time
	draws []atomic.Uint64
}

func enforce(f Faults, now time.Time) *inForce {
	// The caller keeps its maps and may change them.
	for _, rates := range []*Rates{&f.ErrorRate, &f.ThrottleRate, &f.LostAnswerRate, &f.LostRequestRate, &f.UnauthorizedRate} {
		*rates = maps.Clone(*rates)
	}
	f.Outages = slices.Clone(f.Outages)
	return &inForce{Faults: f.WithDefaults(), since: now, draws: make([]atomic.Uint64, int(knobs)*(len(apis)+1))}
}

// roll draws the next number in [0,1) of a knob's sequence. Sequences are counters hashed with the seed, so drawing
// takes no lock.
func (f *inForce) roll(k knob, api API) float64 {
	slot := int(k)*(len(apis)+1) + api.index() + 1
	n := f.draws[slot].Add(1)
	return float64(mix(f.Seed^uint64(slot)*0x9e3779b97f4a7c15, n)>>11) / (1 << 53)
}

// mix is the finaliser of SplitMix64.
func mix(seed, n uint64) uint64 {
	z := seed + n*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

func (f *inForce) chance(k knob, api API, rate float64) bool {
	return rate > 0 && f.roll(k, api) < rate
}

// happens is chance for knobs that belong to no API.
func (f *inForce) happens(k knob, rate float64) bool { return f.chance(k, "", rate) }

func (f *inForce) latency(api API) time.Duration {
	return f.between(rollLatency, api, f.LatencyMinMs, f.LatencyMaxMs)
}

func (f *inForce) between(k knob, api API, least, most int) time.Duration {
	if most <= least {
		return time.Duration(least) * time.Millisecond
	}
	span := float64(most-least) * f.roll(k, api)
	return time.Duration(least)*time.Millisecond + time.Duration(span*float64(time.Millisecond))
}

// outage is the window that now lies in, or nil.
func (f *inForce) outage(now time.Time) *Outage {
	for i := range f.Outages {
		o := &f.Outages[i]
		begin := f.since.Add(time.Duration(o.AfterMs) * time.Millisecond)
		if !now.Before(begin) && now.Before(begin.Add(time.Duration(o.ForMs)*time.Millisecond)) {
			return o
		}
	}
	return nil
}

// textSeed makes duplicate detection's hashes unpredictable, since texts come from outside.
var textSeed = maphash.MakeSeed()
