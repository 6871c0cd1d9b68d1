package lpsim

import (
	"slices"
	"strings"
)

// AgentDialog opens a dialog of a type other than MAIN and POST_SURVEY beside the main one, such as COBROWSE, VOICE_CALL
// or VIDEO_CALL, or closes the open one of that type. It gives the dialog's id.
func (a *agents) AgentDialog(id, dialogType, state string) (string, error) {
	state = orElse(state, stateOpen)
	switch {
	case dialogType == "" || dialogType == dialogMain || dialogType == dialogPCS || strings.Trim(dialogType, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_") != "":
		return "", &FieldError{"dialogType", "want a name such as COBROWSE, other than MAIN and POST_SURVEY"}
	case state != stateOpen && state != stateClose:
		return "", &FieldError{"state", "want OPEN or CLOSE"}
	}
	var dialogID string
	var wrong error
	err := a.withOpen(id, func(c *conversation) {
		i := slices.IndexFunc(c.dialogs, func(d *dialog) bool { return d.DialogType == dialogType && d.State == stateOpen })
		switch {
		case i >= 0:
			dialogID = c.dialogs[i].DialogID
			if state == stateClose {
				a.messaging.endDialog(c, c.dialogs[i], "AGENT", "")
				a.messaging.tell.conversation(c, nil)
			}
		case state == stateClose:
			wrong = &FieldError{"dialogType", "no such dialog is open"}
		default:
			dialogID = a.messaging.openDialog(c, dialogType)
		}
	})
	if err == nil {
		err = wrong
	}
	return dialogID, err
}

// AgentLock makes state and stage of a conversation LOCKED, in which it takes no messages, or OPEN again. LivePerson
// documents neither; the word is seen in other clients.
func (a *agents) AgentLock(id string, locked bool) error {
	c, err := a.registry.locked(id)
	if err != nil {
		return err
	}
	defer c.mu.Unlock()
	from, to := stateOpen, stateLocked
	if !locked {
		from, to = stateLocked, stateOpen
	}
	if c.state != from {
		return ErrConversationClosed
	}
	c.state, c.stage, c.main().State = to, to, to
	c.main().metaTs = c.touch(a.Now())
	a.messaging.tell.conversation(c, nil)
	return nil
}
