package served

import (
	"context"
	"net/http"
	"net/netip"
	"strings"

	"golang.org/x/time/rate"
)

// Rates bound how often one source may do something that anybody may do. A nil
// Rates allows everything.
type Rates struct {
	// header names the client where a proxy stands before us; empty for none.
	header   string
	each     rate.Limit
	burst    int
	limiters *Cache[netip.Prefix, *rate.Limiter]
}

const (
	// ratesBytes is what all sources together may take of memory. A source that
	// is forgotten begins anew.
	ratesBytes   = 8 << 20
	limiterBytes = 128
	// A network of IPv6 is one source: who has one address has them all.
	sourceBits6 = 64
)

// NewRates allows a source so many a minute; 0 is no limit. header is the one in
// which a proxy tells the address of its client.
func NewRates(perMinute int, header string) *Rates {
	if perMinute <= 0 {
		return nil
	}
	return &Rates{
		header: header, each: rate.Limit(float64(perMinute) / 60), burst: perMinute,
		limiters: NewCache[netip.Prefix](ratesBytes, func(*rate.Limiter) int { return limiterBytes }),
	}
}

// Allow reports whether the source of a request may do it once more. Our own host
// always may, for it is a proxy that tells no source, or ourselves.
func (r *Rates) Allow(req *http.Request) bool {
	if r == nil {
		return true
	}
	source, limited := r.source(req)
	if !limited {
		return true
	}
	limiter, err := r.limiters.Get(req.Context(), source, func(context.Context) (*rate.Limiter, error) {
		return rate.NewLimiter(r.each, r.burst), nil
	})
	// Only a request that nobody waits for any more gets no limiter.
	return err == nil && limiter.Allow()
}

// source is where a request comes from, false where that has no limit. Of a list,
// what the last proxy added is its own word, and all before that anybody's.
func (r *Rates) source(req *http.Request) (netip.Prefix, bool) {
	text := req.RemoteAddr
	if r.header != "" {
		told := strings.Join(req.Header.Values(r.header), ",")
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
