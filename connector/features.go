package connector

// What a client can declare in its Client-Properties header ("Send API Overview"
// page; the last five are those LivePerson's own clients declare). LivePerson
// withholds what a client did not declare.
const (
	// FeatureAutoMessages brings automatic messages ("AUTO_MESSAGES").
	FeatureAutoMessages = "AUTO_MESSAGES"
	// FeatureMultiDialog brings post-conversation surveys.
	FeatureMultiDialog = "MULTI_DIALOG"
	// FeatureRichContent and FeatureQuickReplies bring structured content.
	FeatureRichContent  = "RICH_CONTENT"
	FeatureQuickReplies = "QUICK_REPLIES"
	// FeaturePhotoSharing and FeatureFileSharing let agents attach files.
	FeaturePhotoSharing = "PHOTO_SHARING"
	FeatureFileSharing  = "FILE_SHARING"
	FeatureSecureForms  = "SECURE_FORMS"
	FeatureCoBrowse     = "CO_BROWSE"
	FeatureCoApp        = "CO_APP"
)
