package config

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
)

// Config is the configuration of the bridge itself and of its LivePerson account. Each channel adds its own section.
type Config struct {
	Bridge     Bridge     `env:",prefix=LPBRIDGE_"`
	LivePerson LivePerson `env:",prefix=LP_"`
}

// Bridge is how this process runs.
type Bridge struct {
	Listen           string        `env:"LISTEN,default=:8080" desc:"Address (host:port, host may be empty) of the public listener, for LivePerson and the channels."`
	AdminListen      string        `env:"ADMIN_LISTEN,default=127.0.0.1:8081" desc:"Address of the admin listener: health, metrics, status, dead letters and the console. Beyond this machine it needs LPBRIDGE_ADMIN_TOKEN."`
	AdminHosts       []string      `env:"ADMIN_HOSTS" desc:"Further domain names the admin listener answers to. IP addresses, localhost and names without a dot always work; others are refused, so that a web page cannot reach it through a name of its own."`
	Store            Store         `env:"STORE,default=sqlite:data/lpbridge.db" desc:"Where the journal is kept: sqlite:PATH, a file on a local disk that one process owns, or postgres://USER@HOST:5432/DATABASE?sslmode=verify-full, a database that several replicas share, of which one relays."`
	StorePassword    Secret        `env:"STORE_PASSWORD" desc:"Password of the database in LPBRIDGE_STORE, where that has none."`
	Channels         []string      `env:"CHANNELS" desc:"The channels to serve, at least one."`
	PublicURL        *url.URL      `env:"PUBLIC_URL" desc:"Address under which the public listener is reached from outside, for links handed to LivePerson and the channels."`
	LogLevel         string        `env:"LOG_LEVEL,default=info" oneof:"debug,info,warn,error" desc:"The least important log lines to write."`
	LogFormat        string        `env:"LOG_FORMAT,default=json" oneof:"json,text" desc:"How log lines are written."`
	ShutdownTimeout  time.Duration `env:"SHUTDOWN_TIMEOUT,default=20s" min:"1s" desc:"How long a stop may take to finish running deliveries and end typing, after LPBRIDGE_DRAIN_DELAY."`
	DrainDelay       time.Duration `env:"DRAIN_DELAY,default=0s" min:"0s" desc:"How long a stop waits before it closes the public listener, with /readyz answering 503 already, so that balancers that ask it have taken the bridge out by then. A supervisor's patience must cover it and LPBRIDGE_SHUTDOWN_TIMEOUT."`
	MaxInFlight      int           `env:"MAX_IN_FLIGHT,default=512" min:"1" desc:"Deliveries at the same time to LivePerson, and as many to each channel."`
	MaxPending       int           `env:"MAX_PENDING,default=1000000" min:"1" desc:"Events waiting for delivery at which new ones are answered with 503. A quarter is set aside for the channels, in equal parts for each and either direction, so that one cannot take all."`
	ConsumerPending  int           `env:"MAX_PENDING_PER_CONSUMER,default=1000" min:"0" desc:"Events of one consumer waiting for LivePerson at which new ones are answered with 429, on channels that consumers' own apps call. Never more than a tenth of LPBRIDGE_MAX_PENDING; 0 for no limit."`
	Retention        time.Duration `env:"RETENTION,default=24h" min:"1s" desc:"How long the content of a delivered event is kept."`
	DedupeRetention  time.Duration `env:"DEDUPE_RETENTION,default=72h" min:"72h" desc:"How long a repeated event is recognised. LivePerson repeats notifications for three days."`
	HistoryRetention time.Duration `env:"HISTORY_RETENTION,default=720h" min:"1s" desc:"How long the history is kept that the channels served by the bridge itself show their consumers; after it conversations that ended, unused threads and the texts of dead letters are forgotten too."`
	DeadletterAfter  time.Duration `env:"DEADLETTER_AFTER,default=24h" min:"1s" desc:"How long delivery of an event is tried before it becomes a dead letter."`
	EchoWait         time.Duration `env:"ECHO_WAIT,default=35s" min:"0s" desc:"How long to wait for LivePerson's notification of a message whose sending got no answer, before sending it again. LivePerson repeats a notification that found nobody 30 s later, or after pauses that double."`
	UnclaimedFor     time.Duration `env:"UNCLAIMED_FOR,default=10m" min:"1m" desc:"How long what LivePerson says of a conversation that nobody knows is kept while it may be one that was just opened for a consumer of ours."`
	ConsumerKey      Secret        `env:"CONSUMER_KEY" desc:"What the ids of consumers in LivePerson are made with (HMAC), so that nobody guesses one from a phone number. Drawn at the first start and kept in the journal when empty; set it to keep consumers' ids when the journal is lost. Changing it makes new consumers of people who have not written yet."`
	Attachments      string        `env:"ATTACHMENTS,default=upload" oneof:"upload,link" desc:"What becomes of consumers' files: upload stores JPEG, PNG and GIF up to 3 MB with LivePerson, with LP_DOCUMENTS also documents, and sends a link of all else; link fetches nothing and sends links only."`

	AttachmentPrivateNetworks bool `env:"ATTACHMENT_PRIVATE_NETWORKS" desc:"Permit fetching consumers' files from private and loopback addresses, and from ports other than 80 and 443. Whoever can name a file's address can then make the bridge call machines of your network."`

	Doors   Doors
	Replica Replica
}

// LivePerson is the account and how it is reached.
type LivePerson struct {
	AccountID      string        `env:"ACCOUNT_ID,required" desc:"LivePerson account (site) id."`
	ClientID       string        `env:"CLIENT_ID,required" desc:"Client id of the connector's app installation."`
	ClientSecret   Secret        `env:"CLIENT_SECRET,required" desc:"Client secret of the connector's app installation; it also signs notifications."`
	DomainAPIURL   *url.URL      `env:"DOMAIN_API_URL,default=https://api.liveperson.net" desc:"Where the account's service domains are looked up. Its scheme is used for the services too."`
	AllowPlainHTTP bool          `env:"ALLOW_PLAIN_HTTP" desc:"Permit http in LP_DOMAIN_API_URL to other machines. Tokens and messages are then readable on the way; for tests only."`
	SkillID        string        `env:"SKILL_ID" desc:"Skill that new conversations are routed to. LivePerson prefers routing by campaign."`
	CampaignID     string        `env:"CAMPAIGN_ID" desc:"Campaign of new conversations; together with LP_ENGAGEMENT_ID."`
	EngagementID   string        `env:"ENGAGEMENT_ID" desc:"Engagement of new conversations; together with LP_CAMPAIGN_ID."`
	Routes         Routes        `env:"ROUTES" desc:"Where conversations of single channels and inboxes go, separated by commas: a channel (or * for all), / and an inbox if not for all, a colon, and any of skill, campaign with engagement, language, context and entry, such as CHANNEL/3:skill=4711 language=pt-PT. What a route leaves out a wider one says, and at last LP_SKILL_ID, LP_CAMPAIGN_ID and LP_ENGAGEMENT_ID."`
	Monitoring     bool          `env:"MONITORING" desc:"Ask LivePerson's Monitoring API for the engagement of each new conversation, as LivePerson recommends; its campaign counts before a configured one. When it is not to be had within two seconds, conversations go where they are configured to."`
	Features       []string      `env:"FEATURES" oneof:"AUTO_MESSAGES,RICH_CONTENT,QUICK_REPLIES,MULTI_DIALOG,PHOTO_SHARING,FILE_SHARING,CO_BROWSE,CO_APP,SECURE_FORMS" desc:"Client features declared to LivePerson in the Client-Properties header; empty for all that the channels can show."`
	Notifications  string        `env:"NOTIFICATIONS,default=auto" oneof:"auto,on,off" desc:"Whether LivePerson's notifications reach this bridge; auto finds out from the first one. Without them an unanswered message may be sent twice."`
	AgentProfiles  bool          `env:"AGENT_PROFILES,default=true" desc:"Look up the public profiles of agents, so that channels show their nicknames and pictures."`
	Documents      bool          `env:"DOCUMENTS" desc:"Whether the account takes documents of consumers: PDF, DOCX, PPTX and XLSX up to 5 MB, as LivePerson's mobile SDKs send them. Its connector pages name pictures only. What an account refuses goes as a link."`
	Timeout        time.Duration `env:"TIMEOUT,default=10s" min:"1ms" desc:"How long one call to LivePerson may take."`
}

// ConsumerShare is how many events of one consumer may wait, 0 for no limit.
func (b Bridge) ConsumerShare() int {
	if b.ConsumerPending == 0 {
		return 0
	}
	return max(1, min(b.ConsumerPending, b.MaxPending/10))
}

// Level returns the level of LogLevel, info if it is none.
func (b Bridge) Level() slog.Level {
	var level slog.Level
	if level.UnmarshalText([]byte(b.LogLevel)) != nil {
		return slog.LevelInfo
	}
	return level
}

// Validate reports what no single variable shows.
func (b Bridge) Validate() error {
	errs := []error{checkAddress("LISTEN", b.Listen), checkAddress("ADMIN_LISTEN", b.AdminListen), b.checkAdmin()}
	if b.Listen == b.AdminListen && !strings.HasSuffix(b.Listen, ":0") {
		errs = append(errs, errors.New("ADMIN_LISTEN: must differ from LPBRIDGE_LISTEN: the admin pages are never public"))
	}
	if b.PublicURL != nil && (b.PublicURL.RawQuery != "" || b.PublicURL.ForceQuery) {
		errs = append(errs, errors.New("PUBLIC_URL: must not have a query, the part after ?"))
	}
	return errors.Join(errs...)
}

// CheckChannels reports channels that are named twice or are not among the known ones, and the lack of any. Give its error
// to [Loader.Add].
func (b Bridge) CheckChannels(known ...string) error {
	const variable = "LPBRIDGE_CHANNELS"
	if len(b.Channels) == 0 {
		return fmt.Errorf("%s: is required, one or more of %s", variable, strings.Join(known, ", "))
	}
	var errs []error
	for i, name := range b.Channels {
		switch {
		case slices.Contains(b.Channels[:i], name):
			errs = append(errs, fmt.Errorf("%s: names %s twice", variable, quote(name)))
		case !slices.Contains(known, name):
			errs = append(errs, fmt.Errorf("%s: %s is not known, the channels are %s%s",
				variable, quote(name), strings.Join(known, ", "), didYouMean(name, known)))
		}
	}
	return errors.Join(errs...)
}

// LivePerson's ids are numbers, or UUIDs; all go into paths and JSON as they are.
var idText = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)

// Validate reports what no single variable shows, and ids that could not be in a URL's path.
func (c LivePerson) Validate() error {
	return errors.Join(
		checkID("ACCOUNT_ID", c.AccountID),
		checkClientID(c.ClientID),
		checkID("SKILL_ID", c.SkillID),
		checkID("CAMPAIGN_ID", c.CampaignID),
		checkID("ENGAGEMENT_ID", c.EngagementID),
		c.checkCampaign(),
		c.checkDomainAPI(),
	)
}

func (c LivePerson) checkCampaign() error {
	switch {
	case c.CampaignID != "" && c.EngagementID == "":
		return errors.New("ENGAGEMENT_ID: is required with LP_CAMPAIGN_ID")
	case c.CampaignID == "" && c.EngagementID != "":
		return errors.New("CAMPAIGN_ID: is required with LP_ENGAGEMENT_ID")
	}
	return nil
}

func (c LivePerson) checkDomainAPI() error {
	u := c.DomainAPIURL
	switch {
	case u == nil:
		return nil
	case u.RawQuery != "" || u.ForceQuery:
		return errors.New("DOMAIN_API_URL: must not have a query, the part after ?")
	case u.Scheme == "http" && !isLoopback(u.Hostname()) && !c.AllowPlainHTTP:
		return errors.New("DOMAIN_API_URL: must be https, as http shows tokens and messages to the network; " +
			"LP_ALLOW_PLAIN_HTTP=true permits it")
	}
	return nil
}

func checkID(variable, id string) error {
	if id == "" || idText.MatchString(id) && strings.Trim(id, ".") != "" {
		return nil
	}
	return fmt.Errorf("%s: is %s: must be an id of letters, digits, - and _", variable, quote(id))
}

// checkClientID quotes nothing, because the neighbour, the client secret, is easily pasted here.
func checkClientID(id string) error {
	if strings.ContainsFunc(id, unicode.IsSpace) {
		return errors.New("CLIENT_ID: must not have spaces")
	}
	return nil
}

func checkAddress(variable, address string) error {
	_, port, err := net.SplitHostPort(address)
	if err != nil || port != "0" && !isPort(port) {
		return fmt.Errorf("%s: is %s: must be host:port or :port, with a port number up to 65535", variable, quote(address))
	}
	return nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || ip != nil && ip.IsLoopback()
}
