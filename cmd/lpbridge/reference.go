package main

import (
	"context"

	"lpbridge/config"
)

// variablesCommand prints the reference of every environment variable.
func variablesCommand(_ context.Context, env environment) error {
	sections := []config.Section{{
		Title: "lpbridge and LivePerson", Variables: config.Reference(new(config.Config), ""),
	}}
	for _, a := range adapters {
		sections = append(sections, config.Section{Title: "Channel " + a.name, Variables: a.variables()})
	}
	return config.WriteMarkdown(env.stdout, sections...)
}
