package relay_test

import (
	"testing"
	"time"

	"lpbridge/bridge/relay"
	"lpbridge/connector/lpsim"
)

// TestDocumentsAreFilesWhereTheAccountTakesThem sends a PDF to accounts that take
// documents and to such that do not.
func TestDocumentsAreFilesWhereTheAccountTakesThem(t *testing.T) {
	for _, tc := range []struct {
		name        string
		configured  bool
		account     string
		want        string
		mustBeAsked int
	}{
		{"both", true, "documents", "[doc.pdf PDF]", 1},
		{"the account does not", true, "pictures", "doc.pdf " + home + "/media/doc.pdf", 1},
		{"not configured", false, "documents", "doc.pdf " + home + "/media/doc.pdf", 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o, m := withFiles(t)
			upload := o.adjust
			o.adjust = func(o *relay.Options) { upload(o); o.Documents = tc.configured }
			inBubble(t, o, func(t *testing.T, r *rig) {
				if err := r.sim.SetFaults(lpsim.Faults{ConsumerFileTypes: tc.account}); err != nil {
					t.Fatal(err)
				}
				r.send("t-1", "e-1", "the invoice", "doc.pdf")
				r.send("t-1", "e-2", "", "a.png")
				time.Sleep(time.Second)
				r.wantMessages("the invoice", tc.want, "[a.png PNG]")
				if m.asked != tc.mustBeAsked+1 {
					t.Errorf("files were fetched %d times", m.asked)
				}
			})
		})
	}
}
