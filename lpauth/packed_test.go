package lpauth

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestPackedTokensAreTheTokens: a header must get the very bytes LivePerson gave.
func TestPackedTokensAreTheTokens(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		token := rapid.OneOf(
			rapid.StringMatching(`[A-Za-z0-9_-]{0,30}(\.[A-Za-z0-9_-]{0,30}){0,3}`), rapid.String(),
			rapid.Map(rapid.StringN(0, 40, 80), func(id string) string { return testJWT(fmt.Sprintf(`{"lp_consumer_id":%q}`, id)) }),
		).Draw(t, "token")
		id := rapid.OneOf(rapid.Just(read(token).LPConsumerID), rapid.String()).Draw(t, "id")
		was := Consumer{Token: token, ID: ConsumerID(id)}
		if is := unpackConsumer(packConsumer(was)); is != was {
			t.Errorf("got %+v, want %+v", is, was)
		}
	})
}

// TestPackedTokensAreShort: without their base64, and the id once.
func TestPackedTokensAreShort(t *testing.T) {
	t.Parallel()
	c := Consumer{Token: testJWT(`{"lp_consumer_id":"16e5e7ef-d1e0-4e4c-8c0d-6a2b8d0f5b11","pad":"` + strings.Repeat("x", 300) + `"}`), ID: "16e5e7ef-d1e0-4e4c-8c0d-6a2b8d0f5b11"}
	if got, most := len(packConsumer(c)), len(c.Token)*3/4+8; got > most {
		t.Errorf("%d bytes of %d", got, len(c.Token))
	}
}

// TestConsumersUsedBeforeOthersStayKnown: they cost no call, and a token LivePerson
// does not take is forgotten wherever it is.
func TestConsumersUsedBeforeOthersStayKnown(t *testing.T) {
	lp := newLivePerson(t)
	serveConsumers(lp)
	c, err := NewConsumerTokens(ConsumerTokensOptions{
		AccountID: testAccount, Domains: &fixedDomains{}, AppTokens: &countingTokens{}, Transport: lp.transport, CacheSize: 2, PackedBytes: 1 << 20,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	ask := func(i, calls int) {
		t.Helper()
		identity := ConsumerIdentity(fmt.Sprint("u", i))
		got, err := c.Consumer(t.Context(), identity)
		if err != nil || got.Token != consumerJWS(string(identity)) || got.ID != ConsumerID("lp-of-"+string(identity)) {
			t.Fatalf("%s: %+v, %v", identity, got, err)
		}
		if n := lp.count(consumerCall); n != calls {
			t.Fatalf("%s: %d calls, want %d", identity, n, calls)
		}
	}
	for i := range 10 {
		ask(i, i+1)
	}
	for i := range 10 {
		ask(i, 10)
	}
	// One was packed, used again and so may be in both.
	c.Invalidate("u9", consumerJWS("u9"))
	ask(9, 11)
	ask(0, 11)
	ask(1, 11)
	ask(2, 11)
	c.Invalidate("u0", "another token")
	ask(0, 11)
	ask(1, 11)
	ask(2, 11)
	c.Invalidate("u0", consumerJWS("u0"))
	ask(0, 12)
	ask(1, 12)
}
