package webhook

import (
	"bytes"
	"errors"
	"strconv"

	"lpbridge/bridge"
)

// maxEvents is the most events one request may hold.
const maxEvents = 100

// decode reads one event or an array of them. Either all events are good or the
// error, a *[bridge.Problem], names the first field that is not.
func decode(body []byte) ([]bridge.Event, error) {
	events := make([]bridge.Event, 1)
	var into any = &events[0]
	array := bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte("["))
	if array {
		into = &events
	}
	if err := bridge.DecodeStrict(body, into); err != nil {
		return nil, err
	}
	switch n := len(events); {
	case n == 0:
		return nil, bridge.BadRequest("", "the array holds no event")
	case n > maxEvents:
		return nil, bridge.BadRequest("", "the array holds more than "+strconv.Itoa(maxEvents)+" events")
	}
	for i := range events {
		err := events[i].Validate()
		if field, ok := errors.AsType[*bridge.FieldError](err); ok && array {
			return nil, bridge.BadRequest("["+strconv.Itoa(i)+"]."+field.Field, field.Reason)
		}
		if err != nil {
			return nil, bridge.ProblemOf(err)
		}
	}
	return events, nil
}
