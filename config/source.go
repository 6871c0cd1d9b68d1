package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/sethvargo/go-envconfig"
)

// Origin says where the value of a variable came from.
type Origin string

// The origins.
const (
	FromUnset       Origin = "unset"       // nowhere: the variable is not set and has no default
	FromDefault     Origin = "default"     // the default, the variable is not set
	FromEnvironment Origin = "environment" // the variable itself
	FromFile        Origin = "file"        // the file its _FILE twin names
	FromInvalid     Origin = "invalid"     // set, but reported as a problem
	FromIgnored     Origin = "ignored"     // set, but its section is not in use
)

const fileSuffix = "_FILE"

// maxSecretFile is generous for a key in any format and small enough that naming a device or a database by mistake costs
// nothing.
const maxSecretFile = 64 << 10

// source is what envconfig asks. It decides what "set" means, reads secrets from files, and remembers every answer:
// the problems because Lookup cannot return one, the rest so that a file is read once only (it may be a pipe).
// It must be the innermost lookuper, with prefixes around it, so that it sees whole names.
type source struct {
	env     envconfig.Lookuper
	secrets map[string]bool // the variables that have a file twin
	answers map[string]answer
}

type answer struct {
	value   Secret
	origin  Origin
	problem *Problem
}

var _ envconfig.Lookuper = (*source)(nil)

func newSource(env envconfig.Lookuper) *source {
	return &source{env: env, secrets: map[string]bool{}, answers: map[string]answer{}}
}

// Lookup answers for envconfig. A variable with a problem is not found.
func (s *source) Lookup(key string) (string, bool) {
	a := s.ask(key)
	return a.value.Reveal(), a.value.IsSet()
}

func (s *source) ask(key string) answer {
	a, known := s.answers[key]
	if !known {
		a = s.find(key)
		s.answers[key] = a
	}
	return a
}

func (s *source) find(key string) answer {
	if s.secrets[key] {
		return s.findSecret(key)
	}
	value, _ := s.env.Lookup(key)
	// Quotes and here-documents leave spaces around values, and no setting of ours means anything by them.
	if value = strings.TrimSpace(value); value == "" {
		return answer{origin: FromUnset}
	}
	return answer{value: NewSecret(value), origin: FromEnvironment}
}

func (s *source) findSecret(key string) answer {
	value, _ := s.env.Lookup(key)
	path, _ := s.env.Lookup(key + fileSuffix)
	switch {
	case value != "" && path != "":
		return refuse(key, "is set, and so is "+key+fileSuffix+": remove one of them")
	case path != "":
		text, err := readSecret(path)
		if err != nil {
			return refuse(key+fileSuffix, err.Error())
		}
		return answer{value: NewSecret(text), origin: FromFile}
	case value == "":
		return answer{origin: FromUnset}
	case strings.TrimSpace(value) == "":
		return refuse(key, "holds nothing but white space")
	}
	return answer{value: NewSecret(value), origin: FromEnvironment}
}

func refuse(variable, message string) answer {
	return answer{origin: FromInvalid, problem: &Problem{Variable: variable, Message: message}}
}

// readSecret returns the content of the file without line breaks at its end, which editors and pipes add. No error names the path: by a
// common mistake it is the secret itself.
func readSecret(path string) (string, error) {
	content, err := readCapped(path)
	if err != nil {
		if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
			err = pathErr.Err
		}
		return "", fmt.Errorf("the file cannot be read: %w", err)
	}
	if len(content) > maxSecretFile {
		return "", fmt.Errorf("the file is larger than %d bytes", maxSecretFile)
	}
	text := strings.TrimRight(string(content), "\r\n")
	if strings.TrimSpace(text) == "" {
		return "", errors.New("the file holds no secret: it is empty")
	}
	return text, nil
}

// readCapped returns at most one byte more than a secret may have, so the caller sees that there was more.
func readCapped(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, maxSecretFile+1))
}
