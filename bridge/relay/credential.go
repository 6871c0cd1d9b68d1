package relay

import (
	"context"
	"errors"
	"time"

	"lpbridge/bridge/relay/lane"
	"lpbridge/lpauth"
)

const (
	// credentialDoubt is how soon a refused credential is tried a second time:
	// one refusal may be a deploy's.
	credentialDoubt = time.Second
	// credentialPause is how long it is between two further tries: somebody has to
	// mend it first.
	credentialPause = time.Minute
)

// tryCredential finds out at the start whether LivePerson takes our credential.
// Without it a wrong secret would be silent until a consumer writes.
func (b *Bridge) tryCredential(ctx context.Context) {
	refused := false
	for wait := credentialDoubt; ctx.Err() == nil; wait = credentialPause {
		began := time.Now()
		err := b.opts.TryCredential(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil && refused:
			b.toLivePerson.Saw(lane.SaysWell, began, 0, "")
			return
		case err == nil:
			return
		case errors.Is(err, lpauth.ErrCredentialsRefused):
			b.toLivePerson.Saw(lane.SaysRefused, began, 0, err.Error())
			refused = true
		}
		b.log.WarnContext(ctx, "no token from LivePerson: nothing can be relayed to agents", "error", err)
		pause(ctx, wait)
	}
}
