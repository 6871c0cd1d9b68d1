package connector

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ErrNoField is matched when LivePerson has no field for an attribute.
var ErrNoField = errors.New("LivePerson has no field for it")

// SetAttribute puts a value where LivePerson has a field of that name. The error
// names the attribute and never quotes the value; it matches ErrNoField when there
// is no such field.
func (p *UserProfile) SetAttribute(name, value string) error {
	set := attributes[name]
	if set == nil {
		return fmt.Errorf("attribute %q: %w", name, ErrNoField)
	}
	if p.CustomerInfo == nil {
		p.CustomerInfo = &CustomerInfo{}
	}
	if p.PersonalInfo == nil {
		p.PersonalInfo = &PersonalInfo{}
	}
	err := set(p.CustomerInfo, p.PersonalInfo, value)
	if *p.CustomerInfo == (CustomerInfo{}) {
		p.CustomerInfo = nil
	}
	if q := p.PersonalInfo; q.FirstName+q.LastName+q.Gender+q.Language+q.Company == "" && q.Age == nil && len(q.Contacts) == 0 {
		p.PersonalInfo = nil
	}
	if err != nil {
		return fmt.Errorf("attribute %q: %w", name, err)
	}
	return nil
}

type setter func(*CustomerInfo, *PersonalInfo, string) error

func customer(field func(*CustomerInfo) *string) setter {
	return func(c *CustomerInfo, _ *PersonalInfo, value string) error {
		*field(c) = value
		return nil
	}
}

func personal(field func(*PersonalInfo) *string) setter {
	return func(_ *CustomerInfo, q *PersonalInfo, value string) error {
		*field(q) = value
		return nil
	}
}

var attributes = map[string]setter{
	"cstatus":       customer(func(c *CustomerInfo) *string { return &c.CStatus }),
	"ctype":         customer(func(c *CustomerInfo) *string { return &c.CType }),
	"customerId":    customer(func(c *CustomerInfo) *string { return &c.CustomerID }),
	"currency":      customer(func(c *CustomerInfo) *string { return &c.Currency }),
	"socialId":      customer(func(c *CustomerInfo) *string { return &c.SocialID }),
	"imei":          customer(func(c *CustomerInfo) *string { return &c.IMEI }),
	"userName":      customer(func(c *CustomerInfo) *string { return &c.UserName }),
	"companyBranch": customer(func(c *CustomerInfo) *string { return &c.CompanyBranch }),
	"accountName":   customer(func(c *CustomerInfo) *string { return &c.AccountName }),
	"role":          customer(func(c *CustomerInfo) *string { return &c.Role }),
	"loginStatus":   customer(func(c *CustomerInfo) *string { return &c.LoginStatus }),
	"language":      personal(func(q *PersonalInfo) *string { return &q.Language }),
	"company":       personal(func(q *PersonalInfo) *string { return &q.Company }),
	"balance": func(c *CustomerInfo, _ *PersonalInfo, value string) error {
		n, err := strconv.ParseFloat(value, 64)
		if err != nil || math.IsInf(n, 0) || math.IsNaN(n) {
			return errors.New("is not a number")
		}
		c.Balance = &n
		return nil
	},
	"companySize": func(c *CustomerInfo, _ *PersonalInfo, value string) error {
		n, err := strconv.Atoi(value)
		if err != nil || n < 0 {
			return errors.New("is not a whole number")
		}
		c.CompanySize = &n
		return nil
	},
	"lastPaymentDate": func(c *CustomerInfo, _ *PersonalInfo, value string) (err error) {
		c.LastPaymentDate, err = dateOf(value)
		return err
	},
	"registrationDate": func(c *CustomerInfo, _ *PersonalInfo, value string) (err error) {
		c.RegistrationDate, err = dateOf(value)
		return err
	},
	"gender": func(_ *CustomerInfo, q *PersonalInfo, value string) error {
		if value = strings.ToUpper(value); !slices.Contains([]string{"MALE", "FEMALE", "OTHER"}, value) {
			return errors.New("is none of male, female and other")
		}
		q.Gender = value
		return nil
	},
	"age": func(_ *CustomerInfo, q *PersonalInfo, value string) error {
		if born, err := dateOf(value); err == nil {
			q.Age = &Age{Year: born.Year, Month: born.Month, Day: born.Day}
			return nil
		}
		years, err := strconv.Atoi(value)
		if err != nil || years < 0 || years > 200 {
			return errors.New("is neither years nor a date such as 1990-05-31")
		}
		q.Age = &Age{Age: years}
		return nil
	},
}

func dateOf(value string) (*Date, error) {
	at, err := time.Parse(time.DateOnly, value)
	if err != nil {
		return nil, errors.New("is not a date such as 2026-01-31")
	}
	return &Date{Day: at.Day(), Month: int(at.Month()), Year: at.Year()}, nil
}
