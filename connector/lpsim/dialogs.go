package lpsim

import (
	"slices"
	"strings"

	"github.com/google/uuid"
)

// AgentDialog opens a dialog of a type other than MAIN and POST_SURVEY beside the main one, such as COBROWSE, VOICE_CALL
// or VIDEO_CALL, or closes the open one of that type. It gives the dialog's id.
func (s *Sim) AgentDialog(id, dialogType, state string) (string, error) {
	state = orElse(state, stateOpen)
	switch {
	case dialogType == "" || dialogType == dialogMain || dialogType == dialogPCS || strings.Trim(dialogType, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_") != "":
		return "", &FieldError{"dialogType", "want a name such as COBROWSE, other than MAIN and POST_SURVEY"}
	case state != stateOpen && state != stateClose:
		return "", &FieldError{"state", "want OPEN or CLOSE"}
	}
	var dialogID string
	var wrong error
	err := s.withOpen(id, func(c *conversation) {
		i := slices.IndexFunc(c.dialogs, func(d *dialog) bool { return d.DialogType == dialogType && d.State == stateOpen })
		switch {
		case i >= 0:
			dialogID = c.dialogs[i].DialogID
			if state == stateClose {
				s.endDialog(c, c.dialogs[i], "AGENT", "")
				s.notifyConversation(c, nil)
			}
		case state == stateClose:
			wrong = &FieldError{"dialogType", "no such dialog is open"}
		default:
			dialogID = s.openDialog(c, dialogType)
		}
	})
	if err == nil {
		err = wrong
	}
	return dialogID, err
}

func (s *Sim) openDialog(c *conversation, dialogType string) string {
	now := s.config.Now()
	d := &dialog{
		Dialog: Dialog{DialogID: uuid.NewString(), DialogType: dialogType, State: stateOpen, Created: now},
		metaTs: c.touch(now), members: slices.Clone(c.members),
	}
	c.dialogs = append(c.dialogs, d)
	s.mu.Lock()
	s.dialogs[d.DialogID] = c
	s.mu.Unlock()
	s.notifyConversation(c, nil)
	return d.DialogID
}

// AgentLock makes state and stage of a conversation LOCKED, in which it takes no messages, or OPEN again. LivePerson
// documents neither; the word is seen in other clients.
func (s *Sim) AgentLock(id string, locked bool) error {
	c := s.find(id)
	if c == nil {
		return ErrUnknownConversation
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	from, to := stateOpen, stateLocked
	if !locked {
		from, to = stateLocked, stateOpen
	}
	if c.lost != "" {
		return ErrUnknownConversation
	}
	if c.state != from {
		return ErrConversationClosed
	}
	c.state, c.stage, c.main().State = to, to, to
	c.main().metaTs = c.touch(s.config.Now())
	s.notifyConversation(c, nil)
	return nil
}
