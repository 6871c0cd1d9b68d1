package main

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"lpbridge/config"
)

// skewAllowed is how far the clock may be off: Standard Webhooks and LivePerson's
// tokens both allow for a few minutes and no more.
const skewAllowed = 30 * time.Second

// warnOfDangers names what is allowed and still dangerous.
func (c *checker) warnOfDangers(s *settings) {
	for _, d := range append(s.adminDangers(), s.weakSecrets()...) {
		c.warn(d.variable, d.why)
	}
	if s.Bridge.AttachmentPrivateNetworks {
		c.warn("LPBRIDGE_ATTACHMENT_PRIVATE_NETWORKS", "whoever can name a file's address makes the bridge call machines of your network")
	}
	if u := s.Bridge.PublicURL; u != nil && u.Scheme != "https" {
		c.warn("LPBRIDGE_PUBLIC_URL", "is not https: LivePerson sends no notifications there")
	}
	if s.LivePerson.AllowPlainHTTP {
		c.warn("LP_ALLOW_PLAIN_HTTP", "tokens and messages can be read on the way to LivePerson")
	}
}

// danger is what a variable allows.
type danger struct{ variable, why string }

// adminDangers are those of the admin listener. They are said at each start too.
func (s *settings) adminDangers() (list []danger) {
	d := s.Bridge.Doors
	if !s.Bridge.AdminOnLoopback() {
		if !d.AdminToken.IsSet() {
			list = append(list, danger{"LPBRIDGE_ADMIN_ALLOW_OPEN", "the admin listener reaches beyond this machine, and whoever reaches it can discard dead letters"})
		} else if d.AdminTLSCert == "" {
			list = append(list, danger{"LPBRIDGE_ADMIN_LISTEN", "reaches beyond this machine without LPBRIDGE_ADMIN_TLS_CERT: the token can be read on the way unless something else encrypts it"})
		}
	}
	for variable, token := range map[string]config.Secret{"LPBRIDGE_ADMIN_TOKEN": d.AdminToken, "LPBRIDGE_METRICS_TOKEN": d.MetricsToken} {
		if why := weakness(token.Reveal()); token.IsSet() && why != "" {
			list = append(list, danger{variable, why})
		}
	}
	slices.SortFunc(list, func(a, b danger) int { return cmp.Compare(a.variable, b.variable) })
	return list
}

// checkClock compares our clock with that of LivePerson's domain service, whose
// responses are dated: a clock that is off makes tokens and signatures invalid.
func (c *checker) checkClock(ctx context.Context, s *settings) {
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, s.LivePerson.DomainAPIURL.String(), nil)
	if err != nil {
		c.report("clock", "", err)
		return
	}
	req.Header.Set("User-Agent", userAgent())
	resp, err := (&http.Client{Transport: newChannelTransport(1, false)}).Do(req)
	if err != nil {
		// That nobody is there is what the domains already say.
		return
	}
	resp.Body.Close()
	date, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		c.warn("clock", "cannot be compared: LivePerson's response has no date")
		return
	}
	off := time.Since(date).Round(time.Second)
	if off.Abs() > skewAllowed {
		c.report("clock", "", fmt.Errorf("is %s off from LivePerson's: tokens and signatures will be refused", off))
		return
	}
	c.report("clock", "agrees with LivePerson's", nil)
}
