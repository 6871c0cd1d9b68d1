package livechatai

import (
	"context"
	"errors"
	"fmt"

	"lpbridge/bridge"
	"lpbridge/bridge/farside"
)

// probe is a conversation that does not exist.
const probe = "lpbridge-check"

// Check implements [bridge.Checker]. It lists one conversation of each AI agent
// and writes nothing. Whether replies and typing are let in cannot be found out
// without a conversation.
func (l *LiveChatAI) Check(ctx context.Context) []bridge.Finding {
	var findings []bridge.Finding
	for i, agent := range l.cfg.AgentIDs {
		findings = append(findings, l.checkAgent(ctx, i, agent))
	}
	if len(l.cfg.AgentIDs) == 0 {
		findings = append(findings, l.checkKey(ctx))
	}
	push := bridge.Finding{Subject: "LIVECHATAI_SECRET", Detail: "not set: visitors' messages are polled, their typing is not known"}
	if l.door != nil {
		push.Detail = fmt.Sprintf("pushes to %s are believed by %d secrets", path, len(l.door.keys))
	}
	return append(findings, push)
}

func (l *LiveChatAI) checkAgent(ctx context.Context, i int, agent string) bridge.Finding {
	f := bridge.Finding{Subject: fmt.Sprintf("LIVECHATAI_AGENT_IDS, id %d of %d", i+1, len(l.cfg.AgentIDs))}
	page, failed := l.far.list(ctx, agent, 1, 1)
	if failed != nil {
		f.Err = farside.Cause(failed)
		return f
	}
	f.Detail = fmt.Sprintf("the key is accepted, %d conversations are open", max(page.total, len(page.conversations)))
	return f
}

// checkKey asks for what is not there: an answer of 404 means that the key was
// accepted.
func (l *LiveChatAI) checkKey(ctx context.Context) bridge.Finding {
	f := bridge.Finding{Subject: "LIVECHATAI_API_KEY"}
	_, failed := l.far.read(ctx, probe)
	switch {
	case failed == nil:
		f.Err = errors.New("LiveChatAI answers for a conversation that does not exist")
	case isGone(failed):
		f.Detail = "the key is accepted; messages are pushed only"
	default:
		f.Err = farside.Cause(failed)
	}
	return f
}
