// Package config reads everything an operator may choose from environment variables, once, at start.
//
// A section is a plain struct whose fields carry tags:
//
//	type Config struct {
//		Token   config.Secret `env:"TOKEN,required" desc:"Token the channel sends with every request."`
//		Timeout time.Duration `env:"TIMEOUT,default=10s" min:"1s" desc:"How long one call may take."`
//		Mode    string        `env:"MODE,default=auto" oneof:"auto,on,off" desc:"…"`
//	}
//
// The env tag is read by github.com/sethvargo/go-envconfig; of its options this package permits required, default= and
// prefix= only, because the others change meaning between nested structs. desc is the text of the reference table, oneof
// lists the permitted words of a string or of each element of a list, min and max bound numbers and durations. A field
// may be a string, a bool, a whole number, a float, a [time.Duration], a []string, a [Secret], a []Secret, a *url.URL
// (absolute, http or https) or any type with UnmarshalText.
//
// Three things differ from envconfig alone, because an operator meets them in practice. A variable that is set but empty
// counts as unset, as compose files and charts leave empty variables behind. Every secret KEY has a twin KEY_FILE that
// names a file holding it. And all problems are reported together as one [*Error], each under the full name of its
// variable and never with a secret's value, so that a broken deployment is corrected in one round.
//
// It is assumed that the structs are right: a wrong tag is a mistake in the program, not in the environment, and panics.
//
// This package imports nothing else of the module. Only cmd loads configuration and hands each part its own struct. An
// adapter keeps its struct in its own folder, tagged without the adapter's prefix, and may import this package for the
// type [Secret] only.
package config
