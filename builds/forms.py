from django import forms

MAX_NUMBER = 2**31 - 1  # CI servers count builds in 32 bits


class BuildNumberForm(forms.Form):
    number = forms.IntegerField(min_value=1, max_value=MAX_NUMBER)
