package layer

import (
	"context"
	"fmt"

	"lpbridge/bridge"
)

var _ bridge.Checker = (*Layer)(nil)

// Check implements [bridge.Checker]. There is no far side to ask.
func (l *Layer) Check(context.Context) []bridge.Finding {
	f := bridge.Finding{Subject: "identity tokens", Detail: fmt.Sprintf("verified with %d key(s) of providers", len(l.keys))}
	if l.sandbox != nil {
		f.Detail, f.Danger = "signed for anybody who asks: LAYER_SANDBOX_IDENTITIES is on", true
	}
	return []bridge.Finding{f}
}
