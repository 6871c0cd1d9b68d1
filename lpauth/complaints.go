package lpauth

import "time"

// complainEvery is how often the same failure is logged again: an outage of hours is not
// told of once an attempt.
const complainEvery = time.Minute

// complaints decide which of many failures is logged: the first, one that is another than
// the last, and one a minute. Callers hold a lock.
type complaints struct {
	said time.Time
	text string
}

// note takes down a failure and reports whether it is to be logged now.
func (c *complaints) note(err error) (tell bool) {
	now, text := time.Now(), err.Error()
	if text == c.text && now.Sub(c.said) < complainEvery {
		return false
	}
	c.said, c.text = now, text
	return true
}

// over forgets what was logged: the next failure is the first of another outage.
func (c *complaints) over() { *c = complaints{} }
