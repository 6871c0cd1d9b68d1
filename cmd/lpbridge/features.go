package main

import (
	"fmt"
	"slices"

	"lpbridge/bridge"
	"lpbridge/connector"
)

// features are what LivePerson is told that our consumers can be shown: without
// QUICK_REPLIES it sends none, without FILE_SHARING agents cannot attach a file.
// What LP_FEATURES lists counts; where it lists nothing they follow from the
// channels. Every channel that takes messages shows all of an agent's content,
// if need be in words, so only files depend on more: on an address of ours from
// which they can be had, or on channels that all upload them.
func (s *settings) features() ([]string, error) {
	if len(s.LivePerson.Features) > 0 {
		return s.LivePerson.Features, nil
	}
	shown, files := false, true
	for _, ch := range s.channels {
		adapter, err := ch.build(unusedCore{})
		if err != nil {
			return nil, fmt.Errorf("channel %s: %w", ch.name, err)
		}
		if about := adapter.Channel(); slices.Contains(about.Delivers, bridge.KindMessage) {
			shown, files = true, files && about.Uploads
		}
	}
	if !shown {
		return nil, nil
	}
	features := []string{
		connector.FeatureAutoMessages, connector.FeatureRichContent, connector.FeatureQuickReplies, connector.FeatureMultiDialog,
	}
	if s.Bridge.PublicURL != nil || files {
		features = append(features, connector.FeaturePhotoSharing, connector.FeatureFileSharing)
	}
	return features, nil
}
