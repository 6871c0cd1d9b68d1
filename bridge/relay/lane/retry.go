package lane

import (
	"math/rand/v2"
	"time"

	"lpbridge/bridge"
)

// retryPauses are the first pauses after a failed delivery (LivePerson, Retry
// Policy Recommendations: three retries after 5, 10 and 15 seconds, then 2, 4,
// 8 … minutes).
var retryPauses = []time.Duration{
	5 * time.Second, 10 * time.Second, 15 * time.Second,
	2 * time.Minute, 4 * time.Minute, 8 * time.Minute,
}

// channelPauses are those towards channels, which ask for no such patience: a
// person waits for the agent's answer.
var channelPauses = []time.Duration{
	time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute,
}

// RetryPause is how long to wait before the delivery to LivePerson that follows
// the given number of failed ones. It is up to a fifth longer than the schedule
// says, so that lanes that failed together do not return together.
func RetryPause(attempts int) time.Duration { return pauseOf(retryPauses, attempts) }

// pauseAfter is how long an entry waits after the given number of failed
// deliveries.
func pauseAfter(d bridge.Direction, attempts int) time.Duration {
	if d == bridge.ToChannel {
		return pauseOf(channelPauses, attempts)
	}
	return RetryPause(attempts)
}

func pauseOf(schedule []time.Duration, attempts int) time.Duration {
	pause := schedule[min(max(attempts-1, 0), len(schedule)-1)]
	return pause + rand.N(pause/5)
}
