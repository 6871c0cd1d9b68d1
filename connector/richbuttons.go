package connector

// button is "- title: where it leads". What a tap would publish is not shown:
// it is what the consumer would have to type, and mostly the title again.
func (e *richElement) button() string {
	label := first(e.Title, e.Text)
	if e.Subtitle != "" {
		label += " (" + string(e.Subtitle) + ")"
	}
	if label = labelled(label, e.target()); label == "" {
		return ""
	}
	return "- " + label
}

// target is where a click leads to, if it does.
func (e *richElement) target() string {
	for _, action := range e.Click.Actions {
		switch action.Type {
		case "link":
			if uri := first(action.URI, action.Web.URI, action.IOS.URI, action.Android.URI); uri != "" {
				return uri
			}
		case "navigate":
			return position(action.La, action.Lo)
		}
	}
	return ""
}

// publishText is what a click says in the consumer's name, empty if nothing.
func (e *richElement) publishText() string {
	for _, action := range e.Click.Actions {
		switch action.Type {
		case "publishtext":
			return string(action.Text)
		case "checked":
			return string(action.PublishText)
		}
	}
	return ""
}

// named is what the page of a place or an address calls it.
func (e *richElement) named() loose {
	for _, action := range e.Click.Actions {
		if action.Name != "" {
			return action.Name
		}
	}
	return ""
}

func position(la, lo loose) string {
	if la == "" || lo == "" {
		return ""
	}
	return string(la) + ", " + string(lo)
}

func labelled(label, what string) string {
	if label == "" || what == "" {
		return label + what
	}
	return label + ": " + what
}
