package relay_test

import (
	"slices"
	"testing"
	"time"

	"lpbridge/bridge"
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
