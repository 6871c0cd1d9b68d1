package served

import (
	"context"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/time/rate"
)

// Rates bound how often one source may do something that anybody may do. A nil
// Rates allows everything.
type Rates struct {
	// header names the client where a proxy stands before us; empty for none.
	header   string
	limiters *limiters[netip.Prefix]
}

// A network of IPv6 is one source: who has one address has them all.
const sourceBits6 = 64

// NewRates allows a source so many a minute; 0 is no limit. header is the one in
// which a proxy tells the address of its client.
func NewRates(perMinute int, header string) *Rates {
	if perMinute <= 0 {
		return nil
	}
	return &Rates{header: header, limiters: newLimiters[netip.Prefix](perMinute)}
}

// Spend returns 0 if the source of a request may do it once more, or else when it
// may. Our own host always may, for it is a proxy that tells no source, or ourselves.
func (r *Rates) Spend(req *http.Request) (wait time.Duration) {
	if r == nil {
		return 0
	}
	source, limited := sourceOf(req, r.header)
	if !limited {
		return 0
	}
	return r.limiters.spend(req.Context(), source)
}

// limiters bound how often each of many may do something. Nil allows everything.
type limiters[K comparable] struct {
	each  rate.Limit
	burst int
	all   *Cache[K, *rate.Limiter]
}

const (
	// ratesBytes is what all limiters together may take of memory. Who is
	// forgotten begins anew.
	ratesBytes   = 8 << 20
	limiterBytes = 128
)

// newLimiters allow each so many a minute, also at once; 0 is no limit.
func newLimiters[K comparable](perMinute int) *limiters[K] {
	if perMinute <= 0 {
		return nil
	}
	return &limiters[K]{
		each: rate.Limit(float64(perMinute) / 60), burst: perMinute,
		all: NewCache[K](ratesBytes, func(*rate.Limiter) int { return limiterBytes }),
	}
}

// spend returns 0 when it may be done once more, or else when it may.
func (l *limiters[K]) spend(ctx context.Context, who K) (wait time.Duration) {
	if l == nil {
		return 0
	}
	limiter, err := l.all.Get(ctx, who, func(context.Context) (*rate.Limiter, error) {
		return rate.NewLimiter(l.each, l.burst), nil
	})
	if err != nil {
		// Loading it cannot fail.
		return 0
	}
	taken := limiter.Reserve()
	if wait = taken.Delay(); wait > 0 {
		taken.Cancel()
	}
	return wait
}

// Source is who a request comes from, as far as limits of sources go: empty where it
// has none, as on our own host.
func Source(req *http.Request, header string) string {
	if source, limited := sourceOf(req, header); limited {
		return source.String()
	}
	return ""
}

// sourceOf is where a request comes from, false where that has no limit. Of a list,
// what the last proxy added is its own word, and all before that anybody's.
func sourceOf(req *http.Request, header string) (netip.Prefix, bool) {
	text := req.RemoteAddr
	if header != "" {
		told := strings.Join(req.Header.Values(header), ",")
		if told = strings.TrimSpace(told[strings.LastIndexByte(told, ',')+1:]); told != "" {
			text = told
		}
	}
	addr, err := netip.ParseAddr(text)
	if err != nil {
		withPort, err := netip.ParseAddrPort(text)
		if err != nil {
			return netip.Prefix{}, false
		}
		addr = withPort.Addr()
	}
	addr = addr.Unmap().WithZone("")
	bits := addr.BitLen()
	if addr.Is6() {
		bits = sourceBits6
	}
	prefix, err := addr.Prefix(bits)
	return prefix, err == nil && !addr.IsLoopback()
}
