package relay

import (
	"context"

	"lpbridge/bridge"
	"lpbridge/bridge/relay/lane"
	"lpbridge/connector"
)

// soundLivePerson asks LivePerson how it is with a chat state that changes nothing:
// the consumer whose message comes next does not type. It goes the way of the message
// and says nothing where there is no conversation that takes it.
func (b *Bridge) soundLivePerson(ctx context.Context, e *bridge.Entry) lane.Sounding {
	_, c, err := b.directory.current(ctx, e.ThreadKey())
	if err != nil || !c.TakesChatStates() {
		return lane.Sounding{}
	}
	_, err = b.lp.Send(ctx, c.Identity(), c.Target(c.Dialog), connector.ChatStateEvent{ChatState: connector.ChatActive})
	said := lane.Sounding{Sign: signOf(e, connector.OutcomeOf(err), err), RetryAfter: retryAfter(err)}
	if err != nil {
		said.Reason = err.Error()
	}
	if ctx.Err() != nil {
		said.Sign = lane.SaysNothing
	}
	return said
}
