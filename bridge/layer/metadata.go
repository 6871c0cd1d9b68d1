package layer

import "strconv"

// Limits of a conversation's metadata. Layer's own are not documented.
const (
	maxMetadata        = 8 << 10 // bytes of keys and values together
	maxMetadataDepth   = 8
	maxPatchOperations = 100
)

// patchOperation is one layer-patch operation of a client.
type patchOperation struct {
	Operation string `json:"operation"`
	Property  string `json:"property"`
	Value     any    `json:"value"`
	ID        string `json:"id"`
}

// checkMetadata checks that all values are texts or objects of texts (Client
// API, Conversation metadata).
func (h *history) checkMetadata(metadata map[string]any) error {
	if _, taken := metadata[h.cfg.StateKey]; taken {
		return invalidProperty("metadata."+h.cfg.StateKey, "is set by the server only")
	}
	size, err := sizeOf(metadata, 0)
	if err != nil {
		return err
	}
	if size > maxMetadata {
		return invalidProperty("metadata", "is longer than "+strconv.Itoa(maxMetadata)+" bytes")
	}
	return nil
}

func sizeOf(metadata map[string]any, depth int) (size int, err error) {
	if depth >= maxMetadataDepth {
		return 0, invalidProperty("metadata", "is nested too deeply")
	}
	for key, value := range metadata {
		size += len(key)
		switch v := value.(type) {
		case string:
			size += len(v)
		case map[string]any:
			inner, err := sizeOf(v, depth+1)
			if err != nil {
				return 0, err
			}
			size += inner
		default:
			return 0, invalidProperty("metadata", "must be texts, or objects of texts")
		}
	}
	return size, nil
}

// patchMetadata applies one operation to metadata that is ours to change.
func (h *history) patchMetadata(metadata *map[string]any, s patchOperation, keys []string) error {
	if keys[0] != "metadata" {
		return invalidProperty("property", "must be metadata, a key of it, or participants")
	}
	if s.Operation != "set" && s.Operation != "delete" {
		return invalidProperty("operation", "must be set or delete")
	}
	if len(keys) == 1 {
		return replaceMetadata(metadata, s)
	}
	if len(keys) > maxMetadataDepth {
		return invalidProperty("property", "is nested too deeply")
	}
	if keys[1] == h.cfg.StateKey {
		return invalidProperty("metadata."+h.cfg.StateKey, "is set by the server only")
	}
	if *metadata == nil {
		*metadata = map[string]any{}
	}
	return setKey(*metadata, keys[1:], s)
}

// replaceMetadata sets or deletes all of the metadata.
func replaceMetadata(metadata *map[string]any, s patchOperation) error {
	if s.Operation == "delete" {
		*metadata = nil
		return nil
	}
	all, ok := s.Value.(map[string]any)
	if !ok {
		return invalidProperty("metadata", "must be an object")
	}
	*metadata = cloneMetadata(all)
	return nil
}

// setKey sets or deletes the key at the end of a way; objects on the way are
// made as needed.
func setKey(in map[string]any, way []string, s patchOperation) error {
	key := way[0]
	if len(way) > 1 {
		inner, ok := in[key].(map[string]any)
		if !ok {
			if s.Operation == "delete" {
				return nil
			}
			inner = map[string]any{}
			in[key] = inner
		}
		return setKey(inner, way[1:], s)
	}
	if s.Operation == "delete" {
		delete(in, key)
		return nil
	}
	if inner, ok := s.Value.(map[string]any); ok {
		in[key] = cloneMetadata(inner)
		return nil
	}
	in[key] = s.Value
	return nil
}
