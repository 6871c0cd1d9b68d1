package lpsim

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
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
	ProfileAPI      API = "profile"
	// What administrators and their tools use: login, app installations, features of the account, history.
	LoginAPI         API = "login"
	InstallationsAPI API = "installations"
	FeaturesAPI      API = "features"
	HistoryAPI       API = "history"
)

var apis = [...]API{
	DomainAPI, SentinelAPI, IDPAPI, ConversationAPI, SendAPI, SwiftAPI, EngagementAPI, ProfileAPI,
	LoginAPI, InstallationsAPI, FeaturesAPI, HistoryAPI,
}

func (a API) index() int { return slices.Index(apis[:], a) }

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
	AppliedErrorRate   Rates    `json:"appliedErrorRate" help:"share of calls that are applied and then answered with errorStatus all the same"`
	ErrorStatus        int      `json:"errorStatus" default:"500" min:"500" max:"599" help:"status of such an answer"`
	ErrorBody          string   `json:"errorBody" default:"text" oneof:"text|json|empty" help:"body of such an answer; json is in the form of LivePerson's own"`
	ThrottleRate       Rates    `json:"throttleRate" help:"share of calls answered 429, before anything is applied"`
	RetryAfterSeconds  int      `json:"retryAfterSeconds" min:"0" max:"3600" help:"Retry-After of a 429 in seconds; 0 sends none, as LivePerson documents none"`
	RetryAfterForm     string   `json:"retryAfterForm" default:"seconds" oneof:"seconds|date" help:"whether retryAfterSeconds is sent as a number or as an HTTP date"`
	RetryAfterText     string   `json:"retryAfterText" help:"Retry-After of every 429, 5xx and answer from in between exactly as written here, such as 99999999999999999999 or -5; beats retryAfterSeconds"`
	ThrottleBody       string   `json:"throttleBody" default:"json" oneof:"json|empty" help:"undocumented body of a 429"`
	ConcurrencyLimit   int      `json:"concurrencyLimit" min:"0" max:"1000000" help:"calls of CONVERSATION and SEND in progress above which 429 is answered; 0 is no limit"`
	LatencyMinMs       int      `json:"latencyMinMs" min:"0" max:"600000" help:"least time an answer takes, in ms"`
	LatencyMaxMs       int      `json:"latencyMaxMs" min:"0" max:"600000" help:"most time an answer takes, in ms; below latencyMinMs it counts as that"`
	LatencyBeforeShare float64  `json:"latencyBeforeShare" min:"0" max:"1" help:"share of the latency spent before the call is applied; the rest follows it"`
	LostAnswerRate     Rates    `json:"lostAnswerRate" help:"share of calls that are applied and then lose their connection without an answer"`
	LostRequestRate    Rates    `json:"lostRequestRate" help:"share of calls that lose their connection before anything is applied"`
	UnauthorizedRate   Rates    `json:"unauthorizedRate" help:"share of calls (idp, conversation, send) at which LivePerson forgets the AppJWT: 40102 until a new one is fetched"`
	Outages            []Outage `json:"outages" help:"windows [{afterMs,forMs,status}] since the faults were set, in which all LivePerson APIs fail; status 0 closes connections"`
	BetweenRate        Rates    `json:"betweenRate" help:"share of calls answered by something in between that is not LivePerson, with an HTML page"`
	BetweenStatuses    []int    `json:"betweenStatuses" default:"[403]" oneof:"302|400|401|403|404|405|406|407|408|409|410|413|421|425|429|431|451|495|502|503|504|511|520|522|524" help:"statuses of such answers, taken at random"`
	BetweenAfterShare  float64  `json:"betweenAfterShare" min:"0" max:"1" help:"share of such answers that come after LivePerson applied the call; before it otherwise"`
	BetweenLimit       int      `json:"betweenLimit" min:"0" max:"1000000" help:"how many such answers there are in all; 0 is no limit"`

	LateOpeningRate        float64  `json:"lateOpeningRate" min:"0" max:"1" help:"share of CONVERSATION calls that are applied, lose their answer, and whose first notification is delayed like webhookDelay's"`
	ForgetConversationRate float64  `json:"forgetConversationRate" min:"0" max:"1" help:"share of SENDs at which LivePerson forgets their conversation for good: they and all later ones are answered as unknownConversation says, and the consumer may open another"`
	DisownConversationRate float64  `json:"disownConversationRate" min:"0" max:"1" help:"share of SENDs at which their conversation passes to another consumer: 401 with foreignConversationCode from then on, whatever the token"`
	MaskCardNumbers        bool     `json:"maskCardNumbers" help:"real-time masking: what looks like a card number in a consumer's text becomes asterisks, for the agent and in the echo"`
	FilterWords            []string `json:"filterWords" help:"words of a consumer's text that a profanity filter replaces by asterisks; case does not count"`
	TrimTextRate           float64  `json:"trimTextRate" min:"0" max:"1" help:"share of consumers' texts that are trimmed and whose runs of white space become one space"`

	WebhookDuplicateRate   float64 `json:"webhookDuplicateRate" min:"0" max:"1" help:"share of notifications delivered twice"`
	WebhookReorderRate     float64 `json:"webhookReorderRate" min:"0" max:"1" help:"share of notifications delivered after the next one of their conversation, or after 1 s"`
	WebhookEarlyRate       float64 `json:"webhookEarlyRate" min:"0" max:"1" help:"share of CONVERSATION and SEND answers held back until their notification was delivered"`
	WebhookDelayRate       float64 `json:"webhookDelayRate" min:"0" max:"1" help:"share of notifications delayed; later ones overtake them unless webhookDelayInOrder"`
	WebhookDelayMinMs      int     `json:"webhookDelayMinMs" min:"0" max:"259200000" help:"least delay of such a notification, in ms"`
	WebhookDelayMaxMs      int     `json:"webhookDelayMaxMs" min:"0" max:"259200000" help:"most delay of such a notification, in ms; at or below the least, the delay is fixed"`
	WebhookDelayShape      string  `json:"webhookDelayShape" default:"uniform" oneof:"uniform|tail" help:"whether all delays between least and most are as likely, or long ones are rare"`
	WebhookDelayInOrder    bool    `json:"webhookDelayInOrder" help:"let the later notifications of a conversation wait behind a delayed one"`
	WebhookDropRate        float64 `json:"webhookDropRate" min:"0" max:"1" help:"share of notifications never delivered"`
	WebhookBatchMs         int     `json:"webhookBatchMs" min:"0" max:"60000" help:"window in ms in which changes of one conversation and type share a notification; 0 sends each alone"`
	WebhookBareChangeRate  float64 `json:"webhookBareChangeRate" min:"0" max:"1" help:"share of single changes sent as an object instead of an array of one"`
	WebhookShuffleRate     float64 `json:"webhookShuffleRate" min:"0" max:"1" help:"share of notifications of several changes that have them in another order"`
	WebhookForeignRate     float64 `json:"webhookForeignRate" min:"0" max:"1" help:"share of notifications accompanied by one of a conversation that another connector owns"`
	WebhookBrokenRate      float64 `json:"webhookBrokenRate" min:"0" max:"1" help:"share of notifications accompanied by one that breaks off in the middle, signed all the same: nobody can ever read it"`
	WebhookPaddingRate     float64 `json:"webhookPaddingRate" min:"0" max:"1" help:"share of notifications with an unknown field of webhookPaddingBytes"`
	WebhookPaddingBytes    int     `json:"webhookPaddingBytes" default:"1200000" min:"1" max:"16000000" help:"size of that field"`
	WebhookReplay          string  `json:"webhookReplay" default:"app" oneof:"app|shuffled|event" help:"how retentionSeconds repeats after an absence: the app as a whole, in order within a conversation, as documented; the same with the stored events of a conversation in any order; or each event by itself, its pauses doubling to 5 minutes, without order"`
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
	OmitOriginatorRate     float64 `json:"omitOriginatorRate" min:"0" max:"1" help:"share of messaging changes without originatorMetadata, so without a role (Messaging Window API tutorials)"`
	OmitReceiptNumberRate  float64 `json:"omitReceiptNumberRate" min:"0" max:"1" help:"share of accept statuses without sequence (Consumer Messaging History page)"`
	NullFieldsRate         float64 `json:"nullFieldsRate" min:"0" max:"1" help:"share of changes whose absent optional fields are null"`
	OddNumberRate          float64 `json:"oddNumberRate" min:"0" max:"1" help:"share of messaging changes whose numbers have another JSON spelling, such as 5.0 or \"5\""`
	OddTimestampRate       float64 `json:"oddTimestampRate" min:"0" max:"1" help:"share of messaging changes with an odd serverTimestamp: microseconds, seconds, text, negative, beyond any date"`
	SequenceGapRate        float64 `json:"sequenceGapRate" min:"0" max:"1" help:"share of events before which a dialog skips one sequence"`
	InvalidUTF8Rate        float64 `json:"invalidUtf8Rate" min:"0" max:"1" help:"share of agents' texts that arrive with a byte that is no UTF-8"`
	RichAsTextRate         float64 `json:"richAsTextRate" min:"0" max:"1" help:"share of rich contents whose content is a string of JSON (Consumer Messaging History page)"`
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
	DeclaredFeatures       string `json:"declaredFeatures" default:"enforce" oneof:"enforce|ignore" help:"whether rich content and quick replies are withheld from clients that did not declare them in Client-Properties"`
	DeclaredFiles          string `json:"declaredFiles" default:"enforce" oneof:"enforce|ignore" help:"whether an agent can attach files only for clients that declared FILE_SHARING, or PHOTO_SHARING for pictures"`
	LockedAnswer           string `json:"lockedAnswer" default:"closed" oneof:"closed|bad_request" help:"undocumented answer for a message into a LOCKED conversation"`
	ConsumerFileTypes      string `json:"consumerFileTypes" default:"pictures" oneof:"pictures|documents" help:"what consumers may upload: pictures as the connector pages say, or PDF, DOCX, PPTX and XLSX too, as the mobile SDK's do"`
	UploadLimitBytes       int    `json:"uploadLimitBytes" default:"3145728" min:"1" max:"104857600" help:"largest file a consumer may upload"`
	NullOptionalFields     string `json:"nullOptionalFields" default:"accept" oneof:"accept|reject" help:"whether optional fields of CONVERSATION may be null"`
	TTRNames               string `json:"ttrNames" default:"listed" oneof:"listed|any" help:"whether ttrDefName may be other than NORMAL, URGENT, PRIORITIZED and null"`
	LongBatch              string `json:"longBatch" default:"accept" oneof:"accept|reject" help:"whether a CONVERSATION batch may go on with ms.PublishEvent into the new conversation"`
	ClientPropertiesForm   string `json:"clientPropertiesForm" default:"ignore" oneof:"ignore|strict" help:"whether a Client-Properties header that is not the documented JSON is ignored or refused"`
	SDETypes               string `json:"sdeTypes" default:"documented" oneof:"documented|any" help:"whether engagement attributes may be other than ctmrinfo and personal"`
	AgentProfiles          string `json:"agentProfiles" default:"known" oneof:"known|missing" help:"whether the public profile of an agent is found, or every one is answered 404"`
	AdminSessionSeconds    int    `json:"adminSessionSeconds" default:"28800" min:"1" max:"86400" help:"life of an administrator's bearer in seconds"`
	MissingRevision        string `json:"missingRevision" default:"reject" oneof:"reject|accept" help:"whether an app installation may be changed without If-Match, which LivePerson's pages do not say; a wrong one is always 412"`
	DisabledAppTokens      string `json:"disabledAppTokens" default:"reject" oneof:"reject|accept" help:"whether the AppJWTs that an app has are taken once it is disabled"`
	AgentLeavesOnClose     bool   `json:"agentLeavesOnClose" help:"whether a closing notification no longer lists the agent"`
	AutoCloseMs            int    `json:"autoCloseMs" min:"0" max:"2000000000" help:"close a conversation that waits this long for its consumer, in ms; 0 never"`
	Engagement             string `json:"engagement" default:"eligible" oneof:"eligible|none|loading|unavailable" help:"what Monitoring answers: an engagement, none, 500 loading account, 503"`
	EngagementNeeds        string `json:"engagementNeeds" help:"entry point, such as sec://Sport, without which Monitoring finds no engagement for a consumer"`
	EngagementIDs          string `json:"engagementIds" default:"numbers" oneof:"numbers|strings" help:"whether Monitoring's ids are numbers, as on its page, or strings"`
	EngagementWord         string `json:"engagementWord" default:"conversation" oneof:"conversation|interaction" help:"status of an engagement that is an active conversation"`
}
