from django import forms

MAX_NUMBER = 2**53  # as in the API; large CI servers have passed 32 bits


class BuildNumberForm(forms.Form):
    number = forms.IntegerField(min_value=1, max_value=MAX_NUMBER)
