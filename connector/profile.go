package connector

import (
	"encoding/json"
	"slices"
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

// UserProfile is the consumer as agents see them ("SEND" page, SetUserProfile). All
// fields are optional. What is longer than LivePerson takes is cut, for a profile
// must not cost a message.
type UserProfile struct {
	FirstName   string
	LastName    string
	AvatarURL   string
	Description string
	Email       string
	Phone       string
	// CustomerInfo becomes the SDE "ctmrinfo".
	CustomerInfo *CustomerInfo
	// PersonalInfo becomes the SDE "personal". Names, e-mail and phone given
	// above are added to it when it does not have them.
	PersonalInfo *PersonalInfo
}

// CustomerInfo is LivePerson's SDE "ctmrinfo" ("Engagement Attributes" page).
type CustomerInfo struct {
	CStatus          string   `json:"cstatus,omitempty"`
	CType            string   `json:"ctype,omitempty"`
	CustomerID       string   `json:"customerId,omitempty"`
	Balance          *float64 `json:"balance,omitempty"`
	Currency         string   `json:"currency,omitempty"`
	SocialID         string   `json:"socialId,omitempty"`
	IMEI             string   `json:"imei,omitempty"`
	UserName         string   `json:"userName,omitempty"`
	CompanySize      *int     `json:"companySize,omitempty"`
	CompanyBranch    string   `json:"companyBranch,omitempty"`
	AccountName      string   `json:"accountName,omitempty"`
	Role             string   `json:"role,omitempty"`
	LoginStatus      string   `json:"loginStatus,omitempty"`
	LastPaymentDate  *Date    `json:"lastPaymentDate,omitempty"`
	RegistrationDate *Date    `json:"registrationDate,omitempty"`
}

// Date is a calendar day as SDEs spell it ("Engagement Attributes" page).
type Date struct {
	Day   int `json:"day"`
	Month int `json:"month"`
	Year  int `json:"year"`
}

// PersonalInfo is LivePerson's SDE "personal" ("Engagement Attributes" page).
type PersonalInfo struct {
	FirstName string    `json:"firstname,omitempty"`
	LastName  string    `json:"lastname,omitempty"`
	Age       *Age      `json:"age,omitempty"`
	Contacts  []Contact `json:"contacts,omitempty"`
	// Gender is MALE, FEMALE or OTHER.
	Gender   string `json:"gender,omitempty"`
	Language string `json:"language,omitempty"`
	Company  string `json:"company,omitempty"`
}

// Age is an age in years or a date of birth ("Engagement Attributes" page).
type Age struct {
	Age   int `json:"age,omitempty"`
	Year  int `json:"year,omitempty"`
	Month int `json:"month,omitempty"`
	Day   int `json:"day,omitempty"`
}

// Contact is a way to reach the consumer ("Engagement Attributes" page).
type Contact struct {
	Email string `json:"email,omitempty"`
	Phone string `json:"phone,omitempty"`
}

type wireProfile struct {
	FirstName         string             `json:"firstName,omitempty"`
	LastName          string             `json:"lastName,omitempty"`
	AvatarURL         string             `json:"avatarUrl,omitempty"`
	Description       string             `json:"description,omitempty"`
	PrivateData       *wirePrivate       `json:"privateData,omitempty"`
	AuthenticatedData *wireAuthenticated `json:"authenticatedData,omitempty"`
}

type wirePrivate struct {
	MobileNum string `json:"mobileNum,omitempty"`
	Mail      string `json:"mail,omitempty"`
}

type wireAuthenticated struct {
	SDEs []any `json:"lp_sdes"`
}

// sdes gives the profile's engagement attributes as LivePerson spells them.
func (p UserProfile) sdes() []any {
	var sdes []any
	if p.CustomerInfo != nil {
		sdes = append(sdes, struct {
			Type string        `json:"type"`
			Info *CustomerInfo `json:"info"`
		}{"ctmrinfo", p.CustomerInfo})
	}
	if personal, known := p.personal(); known {
		sdes = append(sdes, struct {
			Type     string       `json:"type"`
			Personal PersonalInfo `json:"personal"`
		}{"personal", personal})
	}
	return sdes
}

func (p UserProfile) personal() (personal PersonalInfo, known bool) {
	if p.PersonalInfo != nil {
		personal, known = *p.PersonalInfo, true
	}
	if personal.FirstName == "" {
		personal.FirstName = p.FirstName
	}
	if personal.LastName == "" {
		personal.LastName = p.LastName
	}
	if len(personal.Contacts) == 0 && (p.Email != "" || p.Phone != "") {
		personal.Contacts = []Contact{{Email: p.Email, Phone: p.Phone}}
	}
	return personal, known || personal.FirstName != "" || personal.LastName != "" || len(personal.Contacts) > 0
}

func (p UserProfile) wire() wireProfile { return p.limited().spelled() }

func (p UserProfile) spelled() wireProfile {
	profile := wireProfile{FirstName: p.FirstName, LastName: p.LastName, AvatarURL: p.AvatarURL, Description: p.Description}
	if p.Email != "" || p.Phone != "" {
		profile.PrivateData = &wirePrivate{MobileNum: p.Phone, Mail: p.Email}
	}
	if sdes := p.sdes(); len(sdes) > 0 {
		profile.AuthenticatedData = &wireAuthenticated{SDEs: sdes}
	}
	return profile
}

const (
	// profileLimit leaves room for the rest of a CONVERSATION below the 5000
	// characters LivePerson takes as one request ("Getting started with Connector
	// API" guide). What it does with a longer profile is not documented.
	profileLimit = 3000
	// addressLimit is the longest e-mail address there is (RFC 5321); a longer one,
	// or part of one, reaches nobody.
	addressLimit = 254
	urlLimit     = 1024
)

// textLimits are the lengths, in characters, to which texts are cut, one after the
// other until the profile fits.
var textLimits = []int{250, 100, 40, 16}

// limited is the profile with everything cut that would make it too large.
func (p UserProfile) limited() UserProfile {
	p = p.clone()
	for _, address := range p.addresses() {
		if len(*address) > addressLimit {
			*address = ""
		}
	}
	if len(p.AvatarURL) > urlLimit {
		p.AvatarURL = ""
	}
	for _, limit := range textLimits {
		for _, text := range p.texts() {
			*text = cutText(*text, limit)
		}
		if data, err := json.Marshal(p.spelled()); err == nil && len(data) <= profileLimit {
			return p
		}
		p.Description, p.AvatarURL = "", ""
	}
	// Only contacts without end can be left: the first is enough.
	if p.PersonalInfo != nil && len(p.PersonalInfo.Contacts) > 1 {
		p.PersonalInfo.Contacts = p.PersonalInfo.Contacts[:1]
	}
	return p
}

// clone lets the nested parts be changed.
func (p UserProfile) clone() UserProfile {
	if p.CustomerInfo != nil {
		info := *p.CustomerInfo
		p.CustomerInfo = &info
	}
	if p.PersonalInfo != nil {
		personal := *p.PersonalInfo
		personal.Contacts = slices.Clone(personal.Contacts)
		p.PersonalInfo = &personal
	}
	return p
}

func (p *UserProfile) addresses() []*string {
	addresses := []*string{&p.Email, &p.Phone}
	if p.PersonalInfo != nil {
		for i := range p.PersonalInfo.Contacts {
			addresses = append(addresses, &p.PersonalInfo.Contacts[i].Email, &p.PersonalInfo.Contacts[i].Phone)
		}
	}
	return addresses
}

func (p *UserProfile) texts() []*string {
	texts := []*string{&p.FirstName, &p.LastName, &p.Description}
	if c := p.CustomerInfo; c != nil {
		texts = append(texts, &c.CStatus, &c.CType, &c.CustomerID, &c.Currency, &c.SocialID, &c.IMEI, &c.UserName,
			&c.CompanyBranch, &c.AccountName, &c.Role, &c.LoginStatus)
	}
	if q := p.PersonalInfo; q != nil {
		texts = append(texts, &q.FirstName, &q.LastName, &q.Gender, &q.Language, &q.Company)
	}
	return texts
}

// cutText cuts a text to a number of characters, sparing what belongs together.
func cutText(text string, limit int) string {
	if utf8.RuneCountInString(text) <= limit {
		return text
	}
	end, count, state := 0, 0, -1
	for rest := text; rest != ""; {
		var cluster string
		cluster, rest, _, state = uniseg.FirstGraphemeClusterInString(rest, state)
		if count += utf8.RuneCountInString(cluster); count > limit {
			break
		}
		end += len(cluster)
	}
	return text[:end]
}
