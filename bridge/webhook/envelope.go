package webhook

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"lpbridge/bridge"
)

// maxEvents is the most events one request may hold.
const maxEvents = 100

// decode reads one event or an array of them, strictly. Either all events are
// good or the error, a *[bridge.Problem], names the first field that is not.
func decode(body []byte) ([]bridge.Event, error) {
	if !json.Valid(body) {
		return nil, badRequest("the body is not one valid JSON text")
	}
	var room [8]step
	w := walker{data: body, trail: room[:0]}
	n, array, wrong := w.events()
	switch {
	case wrong != nil && wrong.Field == "":
		return nil, badRequest(wrong.Reason)
	case wrong != nil:
		return nil, bridge.ProblemOf(wrong)
	case n == 0:
		return nil, badRequest("the array holds no event")
	case n > maxEvents:
		return nil, badRequest("the array holds more than " + strconv.Itoa(maxEvents) + " events")
	}
	events := make([]bridge.Event, n)
	if err := unmarshal(body, events, array); err != nil {
		return nil, badRequest("the body does not fit the envelope")
	}
	return events, validate(events, array)
}

func unmarshal(body []byte, events []bridge.Event, array bool) error {
	if array {
		return json.Unmarshal(body, &events)
	}
	return json.Unmarshal(body, &events[0])
}

// validate finds the first event that lacks what its type needs.
func validate(events []bridge.Event, array bool) error {
	for i := range events {
		err := events[i].Validate()
		if err == nil {
			continue
		}
		if field, ok := errors.AsType[*bridge.FieldError](err); ok && array {
			err = &bridge.FieldError{Field: "[" + strconv.Itoa(i) + "]." + field.Field, Reason: field.Reason}
		}
		return bridge.ProblemOf(err)
	}
	return nil
}

func badRequest(detail string) *bridge.Problem {
	return &bridge.Problem{Status: http.StatusBadRequest, Title: "Bad Request", Detail: detail}
}
