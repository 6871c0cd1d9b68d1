package front

// Counts says what became of the messages of one direction.
type Counts struct {
	// Sent were answered with success: from then on they must arrive.
	Sent int `json:"sent"`
	// Once arrived as they should, Twice more than once.
	Once  int `json:"once"`
	Twice int `json:"twice"`
	// OnTheWay have not arrived, and the bridge knows of work to do. Lost have not
	// arrived though it has nothing left to do.
	OnTheWay int `json:"onTheWay"`
	Lost     int `json:"lost"`
}

// Ledger is the promise in numbers.
type Ledger struct {
	ToLivePerson Counts `json:"toLivePerson"`
	ToChannel    Counts `json:"toChannel"`
	// TypingLeft is how many typing indicators are on that nobody will put out.
	TypingLeft int `json:"typingLeft"`
}

// texts counts how often each text was said. Two messages in the same words are two.
type texts map[string]int

// compare counts what was sent against what arrived. Words that nobody is known to
// have sent are not of this ledger: they came from outside the page.
func compare(sent, arrived texts, idle bool) Counts {
	var c Counts
	for text, n := range sent {
		c.Sent += n
		got := arrived[text]
		surplus := min(max(0, got-n), n)
		c.Twice += surplus
		c.Once += min(got, n) - surplus
		c.OnTheWay += max(0, n-got)
	}
	return c.concluded(idle)
}

// concluded calls lost what is on the way with nobody to bring it.
func (c Counts) concluded(idle bool) Counts {
	if idle {
		c.Lost, c.OnTheWay = c.OnTheWay, 0
	}
	return c
}
