package relay_test

import (
	"encoding/json"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"lpbridge/bridge"
	"lpbridge/connector/lpsim"
)

// TestAcceptWaitsForADevice has a channel that tells when a message reached a
// device: until then nobody says that the consumer has it.
func TestAcceptWaitsForADevice(t *testing.T) {
	reporting := newChannel()
	reporting.about.ReportsDelivery = true
	inBubble(t, rigOptions{channel: reporting}, func(t *testing.T, r *rig) {
		id := r.begin("t-1")
		sent := r.agentSays(id, "good morning")
		time.Sleep(time.Minute)
		if seen := receiptsSeen(r); slices.Contains(seen, "ACCEPT") {
			t.Errorf("the agent saw %v before a device had the message", seen)
		}
		receipt := event(bridge.KindReceipt, "t-1", "receipt-1")
		receipt.Receipt = &bridge.Receipt{
			Status: bridge.ReceiptDelivered, MessageIDs: []bridge.EventID{bridge.AgentEventID(sent.DialogID, sent.Sequence)},
		}
		r.accept(receipt)
		time.Sleep(time.Second)
		if seen := receiptsSeen(r); !slices.Contains(seen, "ACCEPT") {
			t.Errorf("the agent saw %v, want ACCEPT", seen)
		}
	})
}

// TestDeniedMessageIsNeverAccepted has a device take, and show, the sentence that stands
// for a form: the agent was told NACK, and is told nothing else, also after a restart
// and together with a message that did arrive.
func TestDeniedMessageIsNeverAccepted(t *testing.T) {
	reporting := newChannel()
	reporting.about.ReportsDelivery = true
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, rigOptions{channel: reporting})
		id := r.begin("t-1")
		form, err := r.sim.AgentMessage(id, lpsim.AgentMessage{ContentType: "forms/secure-invitation", Message: json.RawMessage(`{"invitationId":"1"}`)})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		text := r.agentSays(id, "do you see it?")
		time.Sleep(time.Second)
		if seen := receiptsSeen(r); !slices.Equal(seen, []string{"NACK"}) {
			t.Fatalf("the agent saw %v, want NACK", seen)
		}
		tell := func(r *rig, n string, status bridge.ReceiptStatus, sent ...lpsim.Sent) {
			receipt := event(bridge.KindReceipt, "t-1", "receipt-"+n)
			receipt.Receipt = &bridge.Receipt{Status: status}
			for _, s := range sent {
				receipt.Receipt.MessageIDs = append(receipt.Receipt.MessageIDs, bridge.AgentEventID(s.DialogID, s.Sequence))
			}
			r.accept(receipt)
			time.Sleep(time.Second)
		}
		tell(r, "1", bridge.ReceiptDelivered, form)
		r = r.restart(rigOptions{channel: reporting})
		tell(r, "2", bridge.ReceiptRead, form)
		tell(r, "3", bridge.ReceiptDelivered, form, text)
		if seen := receiptsSeen(r); !slices.Equal(seen, []string{"NACK", "ACCEPT"}) {
			t.Errorf("the agent saw %v, want NACK of the form and ACCEPT of the text", seen)
		}
		r.shutDown()
		r.sim.Close()
	})
}
