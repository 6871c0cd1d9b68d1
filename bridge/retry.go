package bridge

import (
	"math/rand/v2"
	"time"
)

// retryPauses are the first pauses after a failed delivery (LivePerson, Retry
// Policy Recommendations: three retries after 5, 10 and 15 seconds, then 2, 4,
// 8 … minutes).
var retryPauses = []time.Duration{
	5 * time.Second, 10 * time.Second, 15 * time.Second,
	2 * time.Minute, 4 * time.Minute, 8 * time.Minute,
}

// retryPause is how long to wait before the delivery that follows the given
// number of failed ones. It is up to a fifth longer than the schedule says, so
// that lanes that failed together do not return together.
func retryPause(attempts int) time.Duration {
	pause := retryPauses[min(max(attempts-1, 0), len(retryPauses)-1)]
	return pause + rand.N(pause/5)
}
