package served

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestSharesOfOneConsumer: one consumer has so much under way and no more, and
// another as much.
func TestSharesOfOneConsumer(t *testing.T) {
	s := NewShares(ShareLimits{AtOnce: 3, Bytes: 1000})
	enter := func(consumer string) (*Share, error) { return s.Enter(t.Context(), consumer) }
	var held []*Share
	for range 3 {
		one, err := enter("noisy")
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, one)
	}
	refused, ok := errors.AsType[*ShareError](func() error { _, err := enter("noisy"); return err }())
	if !ok || refused.RetryAfter <= 0 {
		t.Errorf("one too many: %v", refused)
	}
	other, err := enter("quiet")
	if err != nil {
		t.Errorf("somebody else: %v", err)
	}
	all := NewBudget(5000)
	read := func(of *Share, n int) (*BudgetReader, error) {
		r := of.Reader(all, strings.NewReader(strings.Repeat("x", n)), 100)
		_, err := io.ReadAll(r)
		return r, err
	}
	first, err := read(held[0], 1000)
	if err != nil {
		t.Fatal(err)
	}
	second, err := read(held[1], 1000)
	if _, ok := errors.AsType[*ShareError](err); !ok {
		t.Errorf("more bytes than one may hold: %v", err)
	}
	third, err := read(other, 1000)
	if err != nil {
		t.Errorf("bytes of somebody else: %v", err)
	}
	for _, r := range []*BudgetReader{first, second, third} {
		r.Release()
	}
	for _, one := range append(held, other, nil) {
		one.Leave()
	}
	if all.Taken() != 0 || s.taken.Len() != 0 {
		t.Errorf("%d bytes and %d consumers are still held", all.Taken(), s.taken.Len())
	}
	if _, err := enter("noisy"); err != nil {
		t.Errorf("once it is rid of them: %v", err)
	}
}

// TestShareGivesBackWhatAllLack: what the budget of all refuses is not held against
// the consumer.
func TestShareGivesBackWhatAllLack(t *testing.T) {
	s := NewShares(ShareLimits{AtOnce: 1, Bytes: 1000})
	one, err := s.Enter(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	r := one.Reader(NewBudget(10), strings.NewReader(strings.Repeat("x", 900)), 0)
	if _, err := io.ReadAll(r); !errors.Is(err, ErrBudget) {
		t.Errorf("more than all may hold: %v", err)
	}
	r.Release()
	if got := one.one.bytes.Taken(); got != 0 {
		t.Errorf("%d bytes are held", got)
	}
}

// TestRequestsOfOneConsumerAreBounded asks as fast as can be.
func TestRequestsOfOneConsumerAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewShares(ShareLimits{AtOnce: 1, PerMinute: 60})
		asked := 0
		var refused *ShareError
		for ; refused == nil; asked++ {
			one, err := s.Enter(t.Context(), "noisy")
			refused, _ = errors.AsType[*ShareError](err)
			one.Leave()
		}
		if asked != 61 || refused.RetryAfter <= 0 || refused.RetryAfter > time.Second {
			t.Errorf("request %d is refused for %s", asked, refused.RetryAfter)
		}
		if err := s.Spend(t.Context(), "quiet"); err != nil {
			t.Errorf("somebody else: %v", err)
		}
		time.Sleep(refused.RetryAfter)
		if err := s.Spend(t.Context(), "noisy"); err != nil {
			t.Errorf("after what was told: %v", err)
		}
		if err := s.Spend(t.Context(), "noisy"); err == nil {
			t.Error("a second one at once is taken")
		}
	})
}

func TestPartOfSlots(t *testing.T) {
	for _, tc := range []struct{ slots, most, part, want int }{
		{0, 16, 4, 16}, {256, 16, 4, 16}, {64, 16, 4, 16}, {32, 16, 4, 8}, {8, 16, 4, 2}, {3, 16, 4, 1}, {1, 16, 4, 1}, {256, 256, 2, 128},
	} {
		if got := PartOf(tc.slots, tc.most, tc.part); got != tc.want {
			t.Errorf("of %d slots at most %d and one in %d: %d, want %d", tc.slots, tc.most, tc.part, got, tc.want)
		}
	}
}
