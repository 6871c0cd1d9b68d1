package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"
)

// skewAllowed is how far the clock may be off: Standard Webhooks and LivePerson's
// tokens both allow for a few minutes and no more.
const skewAllowed = 30 * time.Second

// warnOfDangers names what is allowed and still dangerous.
func (c *checker) warnOfDangers(s *settings) {
	if !onLoopback(s.Bridge.AdminListen) {
		c.warn("LPBRIDGE_ADMIN_LISTEN", "listens beyond this machine, and whoever reaches it can discard dead letters: keep it behind a firewall")
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

// onLoopback reports whether only this machine reaches an address.
func onLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	ip := net.ParseIP(host)
	return err == nil && (host == "localhost" || ip != nil && ip.IsLoopback())
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
