from django import forms

MAX_NUMBER = 2**31 - 1  # Jenkins counts builds in a Java int


class BuildNumberForm(forms.Form):
    number = forms.IntegerField(min_value=1, max_value=MAX_NUMBER)
