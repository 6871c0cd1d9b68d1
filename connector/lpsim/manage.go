package lpsim

import (
	"embed"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"strconv"
)

//go:embed page
var pageFS embed.FS

// problem is an RFC 9457 error of the management API.
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	// Field names what was wrong with the request.
	Field string `json:"field,omitempty"`
}

// managementAPI is what is below /sim/, and the agent's page. Other sites must not reach it through a browser.
func (s *Sim) managementAPI() http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, do func(r *http.Request) (int, any, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			r.Body = http.MaxBytesReader(w, r.Body, 8<<20)
			status, body, err := do(r)
			if err != nil {
				writeProblem(w, err)
				return
			}
			writeJSON(w, status, body)
		})
	}
	s.handleConversations(handle)
	s.handleAgent(handle)
	s.handleSettings(handle)
	mux.HandleFunc("GET /sim/events", s.stream.serve)
	pages, err := fs.Sub(pageFS, "page")
	if err != nil {
		panic("lpsim: page: " + err.Error())
	}
	mux.Handle("GET /{$}", http.FileServerFS(pages))
	mux.Handle("GET /page/", http.StripPrefix("/page/", http.FileServerFS(pages)))
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { writeProblem(w, errNotFound) })
	return http.NewCrossOriginProtection().Handler(secured(mux))
}

var errNotFound = errors.New("no such page, or no such method for it")

type register func(pattern string, do func(r *http.Request) (int, any, error))

func (s *Sim) handleConversations(handle register) {
	handle("GET /sim/conversations", func(r *http.Request) (int, any, error) {
		limit, err := limitOf(r)
		if err != nil {
			return 0, nil, err
		}
		return http.StatusOK, s.newest(limit), nil
	})
	handle("POST /sim/conversations", func(r *http.Request) (int, any, error) {
		var body struct {
			Text string `json:"text"`
		}
		if err := readBody(r, &body); err != nil {
			return 0, nil, err
		}
		return http.StatusCreated, map[string]string{"conversationId": s.StartForeign(body.Text)}, nil
	})
	handle("POST /sim/conversations/{id}/forget", func(r *http.Request) (int, any, error) {
		return s.shown(r, http.StatusOK, s.Forget(r.PathValue("id")))
	})
	handle("POST /sim/conversations/{id}/disown", func(r *http.Request) (int, any, error) {
		return s.shown(r, http.StatusOK, s.Disown(r.PathValue("id")))
	})
	handle("GET /sim/conversations/{id}", func(r *http.Request) (int, any, error) { return s.shown(r, http.StatusOK, nil) })
}

// limitOf is how many of a list are asked for, 0 for all.
func limitOf(r *http.Request) (int, error) {
	text := r.URL.Query().Get("limit")
	if text == "" {
		return 0, nil
	}
	limit, err := strconv.Atoi(text)
	if err != nil || limit < 1 {
		return 0, &FieldError{"limit", "want a number above 0"}
	}
	return limit, nil
}

// shown answers with the conversation as it is now, unless something went wrong.
func (s *Sim) shown(r *http.Request, status int, err error) (int, any, error) {
	if err != nil {
		return 0, nil, err
	}
	c, ok := s.Conversation(r.PathValue("id"))
	if !ok {
		return 0, nil, ErrUnknownConversation
	}
	return status, c, nil
}

func (s *Sim) handleAgent(handle register) {
	const agent = "POST /sim/conversations/{id}/agent/"
	handle(agent+"typing", func(r *http.Request) (int, any, error) {
		var body struct {
			Agent
			ChatState string `json:"chatState"`
		}
		if err := readBody(r, &body); err != nil {
			return 0, nil, err
		}
		return s.shown(r, http.StatusOK, s.AgentTyping(r.PathValue("id"), body.ChatState, body.Agent))
	})
	handle(agent+"messages", func(r *http.Request) (int, any, error) {
		var body AgentMessage
		if err := readBody(r, &body); err != nil {
			return 0, nil, err
		}
		sent, err := s.AgentMessage(r.PathValue("id"), body)
		return http.StatusCreated, sent, err
	})
	handle(agent+"read", func(r *http.Request) (int, any, error) {
		var body struct {
			Agent
			Status    string  `json:"status"`
			Sequences []int64 `json:"sequenceList"`
		}
		if err := readBody(r, &body); err != nil {
			return 0, nil, err
		}
		sent, err := s.AgentRead(r.PathValue("id"), body.Status, body.Sequences, body.Agent)
		return http.StatusOK, sent, err
	})
	handle(agent+"close", func(r *http.Request) (int, any, error) {
		var body AgentClose
		if err := readBody(r, &body); err != nil {
			return 0, nil, err
		}
		return s.shown(r, http.StatusOK, s.AgentClose(r.PathValue("id"), body))
	})
	handle(agent+"join", func(r *http.Request) (int, any, error) {
		var body struct {
			Agent
			State string `json:"state"`
		}
		if err := readBody(r, &body); err != nil {
			return 0, nil, err
		}
		_, err := s.AgentJoin(r.PathValue("id"), body.Agent, body.State)
		return s.shown(r, http.StatusOK, err)
	})
	handle(agent+"dialogs", func(r *http.Request) (int, any, error) {
		var body struct {
			DialogType string `json:"dialogType"`
			State      string `json:"state"`
		}
		if err := readBody(r, &body); err != nil {
			return 0, nil, err
		}
		_, err := s.AgentDialog(r.PathValue("id"), body.DialogType, body.State)
		return s.shown(r, http.StatusOK, err)
	})
	handle(agent+"lock", func(r *http.Request) (int, any, error) {
		body := struct {
			Locked bool `json:"locked"`
		}{true}
		if err := readBody(r, &body); err != nil {
			return 0, nil, err
		}
		return s.shown(r, http.StatusOK, s.AgentLock(r.PathValue("id"), body.Locked))
	})
	handle(agent+"leave", func(r *http.Request) (int, any, error) {
		var body struct {
			Agent
			SkillID string `json:"skillId"`
		}
		if err := readBody(r, &body); err != nil {
			return 0, nil, err
		}
		return s.shown(r, http.StatusOK, s.AgentLeave(r.PathValue("id"), body.Agent, body.SkillID))
	})
}

func (s *Sim) handleSettings(handle register) {
	handle("GET /sim/faults", func(*http.Request) (int, any, error) { return http.StatusOK, s.Faults(), nil })
	handle("PUT /sim/faults", func(r *http.Request) (int, any, error) {
		var faults Faults
		if err := readBody(r, &faults); err != nil {
			return 0, nil, err
		}
		err := s.SetFaults(faults)
		return http.StatusOK, s.Faults(), err
	})
	handle("GET /sim/webhooks", func(*http.Request) (int, any, error) { return http.StatusOK, s.Webhooks(), nil })
	handle("PUT /sim/webhooks", func(r *http.Request) (int, any, error) {
		var webhooks Webhooks
		if err := readBody(r, &webhooks); err != nil {
			return 0, nil, err
		}
		err := s.SetWebhooks(webhooks)
		return http.StatusOK, webhooks, err
	})
	handle("GET /sim/script", func(*http.Request) (int, any, error) { return http.StatusOK, s.Script(), nil })
	handle("PUT /sim/script", func(r *http.Request) (int, any, error) {
		var script Script
		if err := readBody(r, &script); err != nil {
			return 0, nil, err
		}
		err := s.SetScript(script)
		return http.StatusOK, script, err
	})
	handle("GET /sim/requests", func(r *http.Request) (int, any, error) {
		limit, err := limitOf(r)
		api := API(r.URL.Query().Get("api"))
		if err == nil && api != "" && api.index() < 0 {
			err = &FieldError{"api", "is none of LivePerson's"}
		}
		if err != nil {
			return 0, nil, err
		}
		return http.StatusOK, s.Requests(api, limit), nil
	})
	handle("POST /sim/reset", func(*http.Request) (int, any, error) {
		s.Reset()
		return http.StatusOK, map[string]bool{"reset": true}, nil
	})
	handle("GET /healthz", func(*http.Request) (int, any, error) { return http.StatusOK, map[string]string{"status": "ok"}, nil })
	handle("GET /sim/agents", func(*http.Request) (int, any, error) { return http.StatusOK, s.AgentProfiles(), nil })
	handle("PUT /sim/agents/{id}", func(r *http.Request) (int, any, error) {
		var profile AgentProfile
		if err := readBody(r, &profile); err != nil {
			return 0, nil, err
		}
		return http.StatusOK, profile, s.SetAgentProfile(r.PathValue("id"), profile)
	})
	handle("GET /sim/stats", func(*http.Request) (int, any, error) { return http.StatusOK, s.Stats(), nil })
	handle("POST /sim/tokens/forget", func(*http.Request) (int, any, error) {
		s.ForgetAppJWTs()
		return http.StatusOK, map[string]bool{"forgotten": true}, nil
	})
}

// readBody reads a JSON object; an empty body stands for an empty object.
func readBody(r *http.Request, v any) error {
	data, err := io.ReadAll(r.Body)
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return &FieldError{"body", "is larger than 8 MiB"}
	}
	if err != nil {
		return &FieldError{"body", "was not received completely"}
	}
	if len(data) == 0 {
		return nil
	}
	return decodeStrict(data, v)
}

// secured sets the headers of every answer. The page is one's own and needs nothing from elsewhere.
func secured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(body)
}

func writeProblem(w http.ResponseWriter, err error) {
	p := problem{Type: "about:blank", Status: http.StatusBadRequest, Detail: err.Error()}
	field, isField := errors.AsType[*FieldError](err)
	switch {
	case isField:
		p.Field = field.Field
	case errors.Is(err, ErrUnknownConversation), errors.Is(err, errNotFound):
		p.Status = http.StatusNotFound
	case errors.Is(err, ErrConversationClosed):
		p.Status = http.StatusConflict
	}
	p.Title = http.StatusText(p.Status)
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	json.NewEncoder(w).Encode(p)
}
