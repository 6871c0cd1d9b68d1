package layer

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"
)

// minKeyBits is the shortest RSA key that identity tokens may be signed with.
const minKeyBits = 2048

// inlineKey sets a key given in place off from the name of a file.
const inlineKey = "base64:"

// Limits of what a configuration may ask for. Layer let session_ttl_in_seconds
// be a year at most (Server API, Applications).
const (
	minSessionTTL = time.Minute
	maxSessionTTL = 8760 * time.Hour
	minContent    = 4 << 10
	maxContent    = 64 << 20
)

// Config is what an operator chooses for the channel. Its variables carry the
// prefix LAYER_.
type Config struct {
	AppIDs            []string      `env:"APP_IDS,required" desc:"App ids the apps log in with, as layer:///apps/staging/UUID or only their last part."`
	ProviderKeys      []string      `env:"PROVIDER_KEYS" desc:"Public keys that identity tokens are verified with: PROVIDER/KEY=file.pem, or PROVIDER/KEY=base64: and the key's DER in base64. PROVIDER and KEY are the last parts of the token's iss and kid."`
	Origins           []string      `env:"ORIGINS" desc:"Origins of web pages that may use the API, such as https://www.example.com. Without any no browser may."`
	PublicURL         *url.URL      `env:"PUBLIC_URL" desc:"Base URL under which apps reach the public listener, without /layer; LPBRIDGE_PUBLIC_URL when empty."`
	SessionTTL        time.Duration `env:"SESSION_TTL,default=720h" min:"1m" max:"8760h" desc:"How long a login lasts; never longer than history is kept."`
	AgentID           string        `env:"AGENT_ID,default=agent" desc:"User id under which the apps know the agent. Other agents of a conversation get this id with a suffix."`
	AgentName         string        `env:"AGENT_NAME,default=Agent" desc:"Display name of agents whose own names are not known."`
	AgentAvatarURL    *url.URL      `env:"AGENT_AVATAR_URL" desc:"Address of the agents' picture."`
	StateKey          string        `env:"STATE_KEY,default=state" desc:"Key of a conversation's metadata that tells apps what became of it; apps cannot set it."`
	Logins            int           `env:"LOGINS,default=600" min:"0" desc:"How many nonces and sessions one client address may ask for in a minute; 0 for no limit. Our own host has none, which is where a proxy without CLIENT_HEADER stands."`
	Requests          int           `env:"USER_REQUESTS,default=1200" min:"0" desc:"How many requests one user may make in a minute, over REST and sockets together; 0 for no limit."`
	ClientHeader      string        `env:"CLIENT_HEADER" desc:"Header in which the proxy before the bridge tells its client's address, such as X-Forwarded-For; its last entry counts. Set it only behind a proxy that sets it."`
	MaxContent        int64         `env:"MAX_CONTENT,default=3145728" min:"4096" max:"67108864" desc:"Largest rich content an app may upload, in bytes."`
	SandboxIdentities bool          `env:"SANDBOX_IDENTITIES,default=false" desc:"Whether POST /layer/sandbox/identity_token signs an identity token for anybody who asks. Never in production."`
}

// Validate reports everything wrong with the configuration, each problem
// beginning with the name of its variable.
func (c Config) Validate() error {
	_, err := c.providerKeys()
	return errors.Join(c.validateAppIDs(), err, c.validateOrigins(), c.validateURLs(), c.validateAgent(), c.validateLimits())
}

func (c Config) validateAppIDs() error {
	if len(c.AppIDs) == 0 {
		return errors.New("APP_IDS: at least one app id is required")
	}
	for i, id := range c.AppIDs {
		if id == "" || strings.HasSuffix(id, "/") {
			return fmt.Errorf("APP_IDS: entry %d is empty or ends with a slash", i+1)
		}
		if slices.Contains(c.AppIDs[:i], id) {
			return fmt.Errorf("APP_IDS: entry %d is there twice", i+1)
		}
	}
	return nil
}

func (c Config) validateOrigins() error {
	for i, origin := range c.Origins {
		u, err := url.Parse(origin)
		if err != nil || u.Host == "" || u.Scheme == "" || strings.Contains(origin, "*") || origin != u.Scheme+"://"+u.Host {
			return fmt.Errorf("ORIGINS: entry %d must be scheme://host or scheme://host:port, without path or wildcard", i+1)
		}
	}
	return nil
}

// validateURLs takes a missing PUBLIC_URL: another setting may stand in, so New
// asks for it.
func (c Config) validateURLs() error {
	var errs []error
	if u := c.PublicURL; u != nil && (!isHTTP(u) || u.RawQuery != "" || u.Fragment != "" || u.User != nil) {
		errs = append(errs, errors.New("PUBLIC_URL: must be an absolute http or https address without user, query and fragment"))
	}
	if u := c.AgentAvatarURL; u != nil && !isHTTP(u) {
		errs = append(errs, errors.New("AGENT_AVATAR_URL: must be an absolute http or https address"))
	}
	return errors.Join(errs...)
}

func isHTTP(u *url.URL) bool { return u.Host != "" && (u.Scheme == "http" || u.Scheme == "https") }

// avatar is the address of the agents' picture, if any.
func (c Config) avatar() string {
	if c.AgentAvatarURL == nil {
		return ""
	}
	return c.AgentAvatarURL.String()
}

func (c Config) validateAgent() error {
	var errs []error
	if err := checkUserID(c.AgentID); err != nil {
		errs = append(errs, fmt.Errorf("AGENT_ID: %w", err))
	}
	if c.AgentName == "" {
		errs = append(errs, errors.New("AGENT_NAME: is required"))
	}
	if c.StateKey == "" || strings.ContainsAny(c.StateKey, `.\`) {
		errs = append(errs, errors.New("STATE_KEY: is required and must not have dots or backslashes"))
	}
	return errors.Join(errs...)
}

func (c Config) validateLimits() error {
	var errs []error
	if c.SessionTTL < minSessionTTL || c.SessionTTL > maxSessionTTL {
		errs = append(errs, fmt.Errorf("SESSION_TTL: must be between %s and %s", minSessionTTL, maxSessionTTL))
	}
	if c.Logins < 0 {
		errs = append(errs, errors.New("LOGINS: must be 0 or more"))
	}
	if c.Requests < 0 {
		errs = append(errs, errors.New("USER_REQUESTS: must be 0 or more"))
	}
	if c.MaxContent < minContent || c.MaxContent > maxContent {
		errs = append(errs, fmt.Errorf("MAX_CONTENT: must be between %d and %d bytes", minContent, maxContent))
	}
	return errors.Join(errs...)
}

// keyName names a key as an identity token does.
type keyName struct{ provider, key string }

// providerKeys reads the keys. Its errors name an entry by its number in the list.
func (c Config) providerKeys() (map[keyName]*rsa.PublicKey, error) {
	keys := map[keyName]*rsa.PublicKey{}
	for i, entry := range c.ProviderKeys {
		name, source, found := strings.Cut(entry, "=")
		provider, key, named := strings.Cut(name, "/")
		if !found || !named || provider == "" || key == "" || source == "" || strings.Contains(key, "/") {
			return nil, fmt.Errorf("PROVIDER_KEYS: entry %d is not PROVIDER/KEY=file", i+1)
		}
		if _, twice := keys[keyName{provider, key}]; twice {
			return nil, fmt.Errorf("PROVIDER_KEYS: entry %d is there twice", i+1)
		}
		public, err := readKey(source)
		if err != nil {
			return nil, fmt.Errorf("PROVIDER_KEYS: entry %d: %w", i+1, err)
		}
		keys[keyName{provider, key}] = public
	}
	if len(keys) == 0 && !c.SandboxIdentities {
		return nil, errors.New("PROVIDER_KEYS: is required, for without a key nobody can log in")
	}
	return keys, nil
}

func readKey(source string) (*rsa.PublicKey, error) {
	if encoded, inline := strings.CutPrefix(source, inlineKey); inline {
		der, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil {
			return nil, errors.New("the key is not base64")
		}
		return parseKey(der)
	}
	text, err := os.ReadFile(source)
	if err != nil {
		return nil, fmt.Errorf("read the key: %w", err)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("the file is not PEM")
	}
	return parseKey(block.Bytes)
}

func parseKey(der []byte) (*rsa.PublicKey, error) {
	var key *rsa.PublicKey
	if parsed, err := x509.ParsePKIXPublicKey(der); err == nil {
		key, _ = parsed.(*rsa.PublicKey)
	} else if key, err = x509.ParsePKCS1PublicKey(der); err != nil {
		return nil, errors.New("the key is not an RSA public key")
	}
	if key == nil || key.N.BitLen() < minKeyBits {
		return nil, fmt.Errorf("the key is not an RSA public key of at least %d bits", minKeyBits)
	}
	return key, nil
}

// knowsApp reports whether apps with the id may log in.
func (c Config) knowsApp(id string) bool {
	if id == "" {
		return false
	}
	return slices.Contains(c.AppIDs, id) || slices.Contains(c.AppIDs, id[strings.LastIndexByte(id, '/')+1:])
}

// isAgent reports whether a user id is one of those that agents are shown with.
func (c Config) isAgent(user string) bool {
	return user == c.AgentID || strings.HasPrefix(user, c.AgentID+agentMark)
}
