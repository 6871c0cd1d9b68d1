package picture

import (
	"fmt"
	"net/netip"
	"slices"
	"syscall"

	"code.dny.dev/ssrf"
)

// Guard decides which addresses may be dialled for a consumer.
type Guard struct{ guardian *ssrf.Guardian }

// Networks that are permitted with private networks. Link-local addresses stay
// refused: that is where clouds hand out credentials.
var (
	privateV4 = []netip.Prefix{
		netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16"),
		netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("127.0.0.0/8"),
	}
	privateV6 = []netip.Prefix{netip.MustParsePrefix("fc00::/7"), netip.MustParsePrefix("::1/128")}
)

// metadata are where clouds hand out credentials outside of link-local addresses: in
// networks that count as private, and one that counts as public.
var metadata = []netip.Prefix{
	netip.MustParsePrefix("fd00:ec2::/32"),          // Amazon's services on the machine
	netip.MustParsePrefix("fd20:ce::/32"),           // Google
	netip.MustParsePrefix("fd00:c1::a9fe:a9fe/128"), // Oracle
	netip.MustParsePrefix("fd00:42::42/128"),        // Scaleway
	netip.MustParsePrefix("100.100.100.200/32"),     // Alibaba
	netip.MustParsePrefix("192.0.0.192/32"),         // Oracle
	netip.MustParsePrefix("168.63.129.16/32"),       // Azure
}

// NewGuard permits the public internet's ports 80 and 443, or, with private networks,
// those as well and any port.
func NewGuard(private bool) *Guard {
	if !private {
		return &Guard{ssrf.New()}
	}
	return &Guard{ssrf.New(ssrf.WithAnyPort(), ssrf.WithAllowedV4Prefixes(privateV4...), ssrf.WithAllowedV6Prefixes(privateV6...))}
}

// safe is the control of a dialer: it returns an error for what must not be dialled.
func (g *Guard) safe(network, address string, conn syscall.RawConn) error {
	if err := g.guardian.Safe(network, address, conn); err != nil {
		return err
	}
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: no address", ssrf.ErrInvalidHostPort)
	}
	ip := to.Addr().WithZone("").Unmap()
	if slices.ContainsFunc(metadata, func(p netip.Prefix) bool { return p.Contains(ip) }) {
		return fmt.Errorf("%w: a cloud's metadata service", ssrf.ErrProhibitedIP)
	}
	return nil
}
