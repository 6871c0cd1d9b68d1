package main

import (
	"cmp"
	"context"

	"lpbridge/bridge/relay"
	"lpbridge/config"
	"lpbridge/connector"
	"lpbridge/lpauth"
)

// consumersKept is how many consumers' tokens stay in memory as they are, at about a
// kilobyte each, and consumersPacked how many bytes those used before them may take, at
// half as much each; one more in turn costs a call to LivePerson.
const (
	consumersKept   = 2048
	consumersPacked = 24 << 20
)

// livePerson is the account's side: who we are there and how to reach it.
type livePerson struct {
	secrets   *lpauth.Secrets
	domains   *lpauth.Domains
	tokens    *lpauth.AppTokens
	consumers *lpauth.ConsumerTokens
	client    *connector.Client
	// features are those declared to LivePerson.
	features []string
}

func newLivePerson(s *settings) (*livePerson, error) {
	c, account := s.LivePerson, lpauth.AccountID(s.LivePerson.AccountID)
	transport := s.tracer.Transport(lpauth.NewTransport(lpauth.TransportOptions{MaxIdleConnsPerHost: s.Bridge.MaxInFlight}))
	var lp livePerson
	features, err := s.features()
	if err != nil {
		return nil, err
	}
	lp.features = features
	if lp.secrets, err = lpauth.NewSecrets(s.clientSecret, s.log); err != nil {
		return nil, err
	}
	if lp.domains, err = lpauth.NewDomains(lpauth.DomainsOptions{
		AccountID: account, URL: c.DomainAPIURL.String(), AllowPlainHTTP: c.AllowPlainHTTP, Transport: transport,
		UserAgent: userAgent(), Logger: s.log,
	}); err != nil {
		return nil, err
	}
	if lp.tokens, err = lpauth.NewAppTokens(lpauth.AppTokensOptions{
		AccountID: account, ClientID: c.ClientID, Secrets: lp.secrets, Domains: lp.domains, Transport: transport,
		UserAgent: userAgent(), Logger: s.log,
	}); err != nil {
		return nil, err
	}
	if lp.consumers, err = lpauth.NewConsumerTokens(lpauth.ConsumerTokensOptions{
		AccountID: account, Domains: lp.domains, AppTokens: lp.tokens, Transport: transport,
		UserAgent: userAgent(), CacheSize: consumersKept, PackedBytes: consumersPacked,
	}); err != nil {
		return nil, err
	}
	lp.client, err = connector.New(connector.Options{
		AccountID: account, ClientID: c.ClientID, Domains: lp.domains, AppTokens: lp.tokens, Consumers: lp.consumers,
		Transport: transport, UserAgent: userAgent(), Features: features, Documents: c.Documents, Timeout: c.Timeout, Logger: s.log,
	})
	return &lp, err
}

// routing is where new conversations go: as LP_ROUTES says, and where it says nothing
// as the variables for all do.
func routing(c config.LivePerson) relay.Routing {
	routes := map[relay.RouteKey]relay.Route{}
	for _, r := range c.Routes {
		key := relay.RouteKey{Channel: r.Channel, Inbox: r.Inbox}
		if r.Channel == config.AnyChannel {
			key.Channel = ""
		}
		routes[key] = relay.Route{
			SkillID: r.SkillID, CampaignID: r.CampaignID, EngagementID: r.EngagementID,
			Language: r.Language, Context: r.Context, EntryPoints: r.EntryPoints,
		}
	}
	all := routes[relay.RouteKey{}]
	all.SkillID = cmp.Or(all.SkillID, c.SkillID)
	if all.CampaignID == "" {
		all.CampaignID, all.EngagementID = c.CampaignID, c.EngagementID
	}
	routes[relay.RouteKey{}] = all
	return relay.Routing{Routes: routes, Monitoring: c.Monitoring}
}

// clientSecret reads the client secret again: the file it may be in can have
// changed, the environment cannot.
func (s *settings) clientSecret() ([]string, error) {
	var section struct {
		LivePerson config.LivePerson `env:",prefix=LP_"`
	}
	if _, err := config.Load(&section, s.lookup); err != nil {
		return nil, err
	}
	return []string{section.LivePerson.ClientSecret.Reveal()}, nil
}

// tryCredential gets a token, if there is none yet.
func (lp *livePerson) tryCredential(ctx context.Context) error {
	_, err := lp.tokens.Token(ctx)
	return err
}

// close ends what the clients still do in the background.
func (lp *livePerson) close() {
	lp.consumers.Close()
	lp.tokens.Close()
	lp.domains.Close()
}
