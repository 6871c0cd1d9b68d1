package relay

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"

	"lpbridge/bridge"
)

const (
	// consumerKeyFlag keeps the key of consumers' ids where none is configured.
	consumerKeyFlag = "consumer_key"
	consumerKeySize = 32
)

// identity makes the ids by which LivePerson knows consumers. A consumer who has
// one keeps it, whatever key or rule it was made by.
type identity struct {
	consumers bridge.Consumers
	key       []byte
}

// recall gets the key of the installation, making one the first time.
func (i *identity) recall(ctx context.Context, flags bridge.Flags) error {
	if len(i.key) > 0 {
		return nil
	}
	kept, err := flags.Flag(ctx, consumerKeyFlag)
	if err != nil {
		return fmt.Errorf("read the journal: %w", err)
	}
	if kept != "" {
		i.key, err = hex.DecodeString(kept)
		return err
	}
	key := make([]byte, consumerKeySize)
	// It never fails (crypto/rand).
	_, _ = rand.Read(key)
	if err := flags.SetFlag(ctx, consumerKeyFlag, hex.EncodeToString(key)); err != nil {
		return fmt.Errorf("write the journal: %w", err)
	}
	i.key = key
	return nil
}

// of is the ext_consumer_id of a consumer.
func (i *identity) of(ctx context.Context, channel string, id bridge.ConsumerID) (string, error) {
	known, err := i.consumers.Consumer(ctx, channel, id)
	if err != nil {
		return "", err
	}
	if known != nil && known.ExtConsumer != "" {
		return known.ExtConsumer, nil
	}
	return bridge.ExtConsumerID(i.key, channel, id), nil
}
