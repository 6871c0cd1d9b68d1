package scenario

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/goccy/go-yaml"

	"lpbridge/connector/lpsim"
)

// Scenario is what happens, step by step.
type Scenario struct {
	// About says in a line what is tried.
	About string `json:"about"`
	// Faults are what goes wrong from the start, as PUT /sim/faults has them.
	Faults lpsim.Faults `json:"faults"`
	// RetentionSeconds lets LivePerson repeat notifications that were not taken, for so long.
	RetentionSeconds int `json:"retentionSeconds"`
	// Steps happen one after the other.
	Steps []Step `json:"steps"`
	// Within is how long everything may take to be as it must after the last step. Default one minute.
	Within Duration `json:"within"`
}

// Step is one thing that happens; exactly one member is set.
type Step struct {
	Say   *Say   `json:"say"`
	Type  *Type  `json:"type"`
	Agent *Agent `json:"agent"`
	// Close has the consumer of a thread end the conversation.
	Close string `json:"close"`
	// Forget has LivePerson forget the conversation of a thread, as after its retention.
	Forget string `json:"forget"`
	// Faults replace what goes wrong; {} ends it.
	Faults *lpsim.Faults `json:"faults"`
	// Channel is down or up: down answers 503 to the connector.
	Channel string `json:"channel"`
	// Spoil has the channel answer the next messages wrongly.
	Spoil *Spoil `json:"spoil"`
	// Await waits until what was said or written so far has arrived: said, or written.
	Await string `json:"await"`
	// Pause is time that passes.
	Pause Duration `json:"pause"`
}

// Say is a consumer's message.
type Say struct {
	// Thread or Threads are where; all of several say it at once.
	Thread  string   `json:"thread"`
	Threads []string `json:"threads"`
	// Text is what is said; {n} stands for the number of the repetition.
	Text string `json:"text"`
	// Times is how often, one after the other. Default once.
	Times int `json:"times"`
}

// Type is a consumer's input field: composing, paused or stopped.
type Type struct {
	Thread string `json:"thread"`
	State  string `json:"state"`
}

// Agent is what the agent of a thread's conversation does; exactly one of Text, ChatState, Close and Read is set.
type Agent struct {
	Thread string `json:"thread"`
	// Text is written as often as Times says; {n} stands for the number of the repetition.
	Text  string `json:"text"`
	Times int    `json:"times"`
	// ChatState is COMPOSING, PAUSE, ACTIVE, INACTIVE or GONE.
	ChatState string `json:"chatState"`
	// Close ends the conversation. With Survey a survey follows, where the connector declared that it can show one.
	Close  bool `json:"close"`
	Survey bool `json:"survey"`
	// Read confirms what the consumer wrote.
	Read bool `json:"read"`
}

// Spoil is how the channel answers messages; exactly one of Status and Lost is set.
type Spoil struct {
	// Status is answered instead of taking a message: 5xx, 429, or 410 for a thread that is gone for good.
	Status int `json:"status"`
	// Lost takes the message and closes the connection without an answer.
	Lost bool `json:"lost"`
	// Times is how many messages in all. Default one.
	Times int `json:"times"`
}

// Duration is written as in Go, such as 1m30s.
type Duration time.Duration

// UnmarshalText implements [encoding.TextUnmarshaler].
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	if err != nil || parsed < 0 {
		return errors.New("want a duration such as 30s or 1m30s")
	}
	*d = Duration(parsed)
	return nil
}

const defaultWithin = Duration(time.Minute)

// parse reads a scenario. Its errors name the member that is wrong.
func parse(text []byte) (Scenario, error) {
	var s Scenario
	object, err := yaml.YAMLToJSON(text)
	if err != nil {
		return s, fmt.Errorf("not YAML: %w", err)
	}
	if err := json.Unmarshal(object, &s, json.RejectUnknownMembers(true)); err != nil {
		if wrong, ok := errors.AsType[*json.SemanticError](err); ok {
			return s, fmt.Errorf("%s: %s", strings.TrimPrefix(string(wrong.JSONPointer), "/"), reasonOf(wrong))
		}
		return s, err
	}
	if s.Within == 0 {
		s.Within = defaultWithin
	}
	return s, s.validate()
}

func reasonOf(err *json.SemanticError) string {
	switch {
	case errors.Is(err, json.ErrUnknownName):
		return "is not known"
	case err.Err != nil:
		return err.Err.Error()
	}
	return "has the wrong type"
}

func (s Scenario) validate() error {
	if s.About == "" {
		return errors.New("about: say what is tried")
	}
	if len(s.Steps) == 0 {
		return errors.New("steps: there are none")
	}
	if err := s.Faults.Validate(); err != nil {
		return fmt.Errorf("faults: %w", err)
	}
	spoken := map[string]bool{}
	for i, step := range s.Steps {
		if err := step.validate(spoken); err != nil {
			return fmt.Errorf("steps/%d: %w", i, err)
		}
	}
	return nil
}

// validate notes the threads in which something was said: before that they have no conversation.
func (s Step) validate(spoken map[string]bool) error {
	if n := given(s); n != 1 {
		return fmt.Errorf("want exactly one thing to happen, not %d", n)
	}
	known := func(thread string) error {
		if !spoken[thread] {
			return fmt.Errorf("thread: nothing was said in %q before", thread)
		}
		return nil
	}
	switch {
	case s.Say != nil:
		threads := s.Say.threads()
		if len(threads) == 0 || slices.Contains(threads, "") || s.Say.Text == "" || s.Say.Times < 0 {
			return errors.New("say: want a thread, or threads, and a text")
		}
		for _, thread := range threads {
			spoken[thread] = true
		}
		return nil
	case s.Type != nil:
		if !slices.Contains([]string{"composing", "paused", "stopped"}, s.Type.State) {
			return errors.New("type/state: want composing, paused or stopped")
		}
		return known(s.Type.Thread)
	case s.Agent != nil:
		return errors.Join(known(s.Agent.Thread), s.Agent.validate())
	case s.Close != "":
		return known(s.Close)
	case s.Forget != "":
		return known(s.Forget)
	case s.Faults != nil:
		return s.Faults.Validate()
	case s.Spoil != nil:
		return s.Spoil.validate()
	case s.Channel != "" && s.Channel != "up" && s.Channel != "down":
		return errors.New("channel: want up or down")
	case s.Await != "" && s.Await != "said" && s.Await != "written":
		return errors.New("await: want said or written")
	}
	return nil
}

func (a Agent) validate() error {
	n := 0
	for _, set := range []bool{a.Text != "", a.ChatState != "", a.Close, a.Read} {
		if set {
			n++
		}
	}
	if n != 1 {
		return errors.New("agent: want exactly one of text, chatState, close and read")
	}
	if a.ChatState != "" && !slices.Contains(lpsim.ChatStates, a.ChatState) {
		return fmt.Errorf("agent/chatState: want one of %s", strings.Join(lpsim.ChatStates, ", "))
	}
	return nil
}

func (s Spoil) validate() error {
	switch {
	case s.Lost == (s.Status != 0):
		return errors.New("spoil: want exactly one of status and lost")
	case s.Status != 0 && s.Status != http.StatusGone && s.Status != http.StatusTooManyRequests && s.Status/100 != 5:
		return errors.New("spoil/status: want 410, 429 or 5xx")
	case s.Times < 0:
		return errors.New("spoil/times: want a number above 0")
	}
	return nil
}

// given counts the members that are set.
func given(s Step) (n int) {
	for _, member := range reflect.ValueOf(s).Fields() {
		if !member.IsZero() {
			n++
		}
	}
	return n
}

func (s *Say) threads() []string {
	if s.Thread != "" {
		return append([]string{s.Thread}, s.Threads...)
	}
	return s.Threads
}

func numbered(text string, n int) string { return strings.ReplaceAll(text, "{n}", fmt.Sprint(n)) }

//go:embed shipped/*.yaml
var shipped embed.FS

// Shipped are the names of the scenarios that come with the package.
func Shipped() []string {
	files, err := fs.Glob(shipped, "shipped/*.yaml")
	if err != nil {
		panic("scenario: " + err.Error())
	}
	for i, file := range files {
		files[i] = strings.TrimSuffix(path.Base(file), ".yaml")
	}
	return files
}

// Load reads a shipped scenario by its name, or a file.
func Load(name string) (Scenario, error) {
	text, err := shipped.ReadFile("shipped/" + name + ".yaml")
	if err != nil {
		if text, err = os.ReadFile(name); err != nil {
			return Scenario{}, fmt.Errorf("scenario %s: there is no such file, and the shipped ones are %s", name, strings.Join(Shipped(), ", "))
		}
	}
	s, err := parse(text)
	if err != nil {
		return s, fmt.Errorf("scenario %s: %w", name, err)
	}
	return s, nil
}
